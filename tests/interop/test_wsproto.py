"""PyPI `wsproto`, an independent judge, reads what our codec writes, and our codec reads what it writes, in both roles.

Two other libraries, Autobahn and `websockets`, judge whole sessions in test_autobahn.py.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Any

import pytest
import wsproto.connection as wsproto_connection
import wsproto.events as wsproto_events
from hypothesis import assume, given
from hypothesis import strategies as st

from medusa.protocol.errors import LocalProtocolError, RemoteProtocolError
from medusa.protocol.messages import MAX_REASON, Binary, Close, Kind, Message, Ping, Pong, Text
from medusa.protocol.websocket.codec import Role, WebSocketCodec, legal_close_code
from medusa.protocol.websocket.relay import WEBSOCKET, WebSocketRelay

EDGES = (0, 1, 125, 126, 127, 65535, 65536, 70000)
"""Payload sizes on both sides of every change of a header's form, and of the relay's 64 KiB."""

OTHER = {Role.CLIENT: Role.SERVER, Role.SERVER: Role.CLIENT}

both_roles = pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)


class Refused(Exception):
    """The library says that the bytes it was given break RFC 6455."""


class Wsproto:
    """The library, past its handshake: what it reads, as our messages."""

    def __init__(self, role: Role) -> None:
        kind = wsproto_connection.CLIENT if role is Role.CLIENT else wsproto_connection.SERVER
        self._peer = wsproto_connection.Connection(kind)
        self._parts: list[Any] = []
        self._answers = b""

    def receive(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises Refused."""
        self._peer.receive_data(data)
        return [message for event in self._peer.events() for message in self._messages(event)]

    def answers(self) -> bytes:
        """What a user of the library sends at once: pongs, the answer to a close."""
        answers, self._answers = self._answers, b""
        return answers

    def send(self, message: Message) -> bytes:
        """The frame of a message."""
        return self._peer.send(_wsproto_event(message))

    def send_pieces(self, kind: Kind, pieces: Sequence[bytes]) -> list[bytes]:
        """The frames of one fragmented message."""
        text = kind is Kind.TEXT
        make: Any = wsproto_events.TextMessage if text else wsproto_events.BytesMessage
        last = len(pieces) - 1
        parts = (piece.decode() if text else piece for piece in pieces)
        return [self._peer.send(make(part, message_finished=at == last)) for at, part in enumerate(parts)]

    def _messages(self, event: wsproto_events.Event) -> list[Message]:
        if isinstance(event, wsproto_events.Message):
            self._parts.append(event.data)
            if not event.message_finished:
                return []
            parts, self._parts = self._parts, []
            return [Text("".join(parts)) if isinstance(event, wsproto_events.TextMessage) else Binary(b"".join(parts))]
        if isinstance(event, wsproto_events.Ping):
            self._answers += self._peer.send(event.response())
            return [Ping(bytes(event.payload))]
        if isinstance(event, wsproto_events.Pong):
            return [Pong(bytes(event.payload))]
        assert isinstance(event, wsproto_events.CloseConnection)
        if self._peer.state is wsproto_connection.ConnectionState.OPEN:
            # No close frame came: this is how the library says which one it wants to be sent.
            raise Refused(event.reason)
        if self._peer.state is wsproto_connection.ConnectionState.REMOTE_CLOSING:
            self._answers += self._peer.send(event.response())
        # 1005 is the library's word for: none was given.
        return [Close(None if event.code == 1005 else int(event.code), event.reason or "")]


def _wsproto_event(message: Message) -> wsproto_events.Event:
    if isinstance(message, Text):
        return wsproto_events.TextMessage(message.text)
    if isinstance(message, Binary):
        return wsproto_events.BytesMessage(message.data)
    if isinstance(message, Close):
        return wsproto_events.CloseConnection(message.code or 1005, message.reason or None)
    if isinstance(message, Ping):
        return wsproto_events.Ping(message.payload)
    return wsproto_events.Pong(message.payload)


def ours(role: Role) -> WebSocketCodec:
    return WebSocketCodec(role, lambda: os.urandom(4))


def read_all(connection: WebSocketCodec, data: bytes, step: int = 0) -> list[Message]:
    """Everything in `data`, given in pieces of `step` bytes (0: at once)."""
    messages: list[Message] = []
    for at in range(0, len(data), step or len(data) or 1):
        connection.receive_data(data[at : at + step] if step else data)
        while (message := connection.next_message()) is not None:
            messages.append(message)
    return messages


def sized(size: int) -> list[Message]:
    text = ("aé€😀" * (size // 10 + 1)).encode()[:size].decode("utf-8", "ignore")
    return [Binary(os.urandom(size)), Text(text + "x" * (size - len(text.encode())))]


@both_roles
def test_messages_both_ways(role: Role) -> None:
    connection, peer = ours(role), Wsproto(OTHER[role])
    sent = [message for size in EDGES for message in sized(size)]
    for message in sent:
        assert peer.receive(connection.frame(message)) == [message]
    assert read_all(connection, b"".join(map(peer.send, sent)), step=997) == sent
    sent = [*sized(300), Ping(b"p"), *sized(0), Close(1000, "end")]
    assert read_all(connection, b"".join(map(peer.send, sent)), step=1) == sent


@both_roles
@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_fragments_come_out_as_one_message_with_a_ping_between(role: Role, kind: Kind) -> None:
    connection, peer = ours(role), Wsproto(OTHER[role])
    pieces = ["één".encode(), b"", "zwei€".encode(), b"x" * 70000, b""]
    frames = peer.send_pieces(kind, pieces)
    whole = b"".join(pieces)
    frames.insert(2, peer.send(Ping(b"now")))
    message: Message = Text(whole.decode()) if kind is Kind.TEXT else Binary(whole)
    assert read_all(connection, b"".join(frames)) == [Ping(b"now"), message]


@both_roles
@pytest.mark.parametrize("payload", [b"", b"x", bytes(125)], ids=len)
def test_their_pong_answers_our_ping_and_ours_theirs(role: Role, payload: bytes) -> None:
    connection, peer = ours(role), Wsproto(OTHER[role])
    assert peer.receive(connection.frame(Ping(payload))) == [Ping(payload)]
    assert read_all(connection, peer.answers()) == [Pong(payload)]
    assert peer.receive(connection.frame(Pong(payload))) == [Pong(payload)]


CLOSES = [
    *(Close(code, "") for code in (*range(1000, 1004), *range(1007, 1012), 3000, 3999, 4000, 4999)),
    Close(1000, "remote connection reset"),
    Close(4000, "é" * (MAX_REASON // 2)),
    Close(1008, "x" * MAX_REASON),
]


@both_roles
@pytest.mark.parametrize("close", [*CLOSES, Close(None, "")], ids=lambda close: f"{close.code}-{len(close.reason)}")
def test_closes_both_ways_and_their_echo(role: Role, close: Close) -> None:
    connection, peer = ours(role), Wsproto(OTHER[role])
    assert peer.receive(connection.frame(close)) == [close]
    (echo,) = read_all(connection, peer.answers())
    assert isinstance(echo, Close)
    assert echo.code in (close.code, 1000)
    if close.code is not None:  # it sends no close without one
        assert read_all(ours(role), Wsproto(OTHER[role]).send(close)) == [close]


messages = st.one_of(
    st.binary(max_size=300).map(Binary),
    st.text(max_size=100).map(Text),
    st.sampled_from(EDGES).map(lambda size: Binary(bytes(size))),
    st.binary(max_size=130).map(Ping),
    st.binary(max_size=130).map(Pong),
)
UNKNOWN_TO_WSPROTO = 1014  # in IANA's registry, but not in the library's list
codes = st.integers(0, 6000).filter(lambda code: code != UNKNOWN_TO_WSPROTO)
closes = st.builds(Close, st.one_of(st.none(), codes), st.text(max_size=200))


@both_roles
@given(sent=st.lists(messages, max_size=12), close=closes)
def test_no_illegal_frame_leaves_us(role: Role, sent: list[Message], close: Close) -> None:
    connection, peer = ours(role), Wsproto(OTHER[role])
    for message in [*sent, close]:
        try:
            frame = connection.frame(message)
        except LocalProtocolError:
            assert not sendable(message)
            continue
        assert sendable(message)
        (received,) = peer.receive(frame)
        if isinstance(message, Close) and isinstance(received, Close):
            assert received.code == message.code
            assert message.reason.startswith(received.reason)
        else:
            assert received == message


def sendable(message: Message) -> bool:
    if isinstance(message, (Ping, Pong)):
        return len(message.payload) <= 125
    return not isinstance(message, Close) or message.code is None or legal_close_code(message.code)


@both_roles
@given(first=st.integers(0, 255), masked=st.booleans(), payload=st.binary(max_size=160))
def test_a_whole_frame_is_refused_by_both_or_by_neither(role: Role, first: int, masked: bool, payload: bytes) -> None:
    assume(payload[:2] != struct.pack("!H", UNKNOWN_TO_WSPROTO))
    size = bytes((len(payload),)) if len(payload) < 126 else struct.pack("!BH", 126, len(payload))
    # With a key of zeros the payload stays what hypothesis chose, so it can find the close codes and the UTF-8.
    frame = bytes((first, size[0] | 0x80 * masked)) + size[1:] + bytes(4) * masked + payload
    assert we_refuse(role, frame) == they_refuse(role, frame), frame.hex()


def test_every_close_code_is_judged_alike() -> None:
    for code in range(5100):
        frame = struct.pack("!BBH", 0x88, 2, code)
        if code != UNKNOWN_TO_WSPROTO:
            assert we_refuse(Role.CLIENT, frame) == they_refuse(Role.CLIENT, frame), code


def they_refuse(role: Role, frame: bytes) -> bool:
    try:
        Wsproto(role).receive(frame)
    except Refused:
        return True
    return False


def we_refuse(role: Role, frame: bytes) -> bool:
    try:
        read_all(ours(role), frame)
    except RemoteProtocolError:
        return True
    return False


@pytest.mark.parametrize("step", [0, 1, 1000])
def test_it_understands_itself_through_our_relay(step: int) -> None:
    """Both ends are clients, as at a reflector: masked in, unmasked out, fragments put together."""
    sender, receiver, relay = Wsproto(Role.CLIENT), Wsproto(Role.CLIENT), WebSocketRelay()
    sent = [message for size in ((0, 1, 126) if step == 1 else EDGES) for message in sized(size)]
    data = b"".join(sender.send(message) for message in sent)
    data += b"".join(sender.send_pieces(Kind.TEXT, [b"one ", b"", b"message"]))
    received: list[Message] = []
    for at in range(0, len(data), step or len(data)):
        result = relay.feed(data[at : at + (step or len(data))], WEBSOCKET)
        assert result.error is None
        received += receiver.receive(b"".join(result.pieces))
    assert received == [*sent, Text("one message")]
