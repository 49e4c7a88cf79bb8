"""PyPI `wsproto`, an independent judge, reads what our codec writes, and refuses what it refuses, in both roles.

Two other libraries, Autobahn and `websockets`, judge whole sessions in test_autobahn.py.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest
import wsproto.connection as wsproto_connection
import wsproto.events as wsproto_events
from hypothesis import assume, given
from hypothesis import strategies as st

from medusa.protocol.errors import LocalProtocolError, RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.protocol.websocket.header import legal_close_code

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

    def receive(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises Refused."""
        self._peer.receive_data(data)
        return [message for event in self._peer.events() for message in self._messages(event)]

    def _messages(self, event: wsproto_events.Event) -> list[Message]:
        if isinstance(event, wsproto_events.Message):
            self._parts.append(event.data)
            if not event.message_finished:
                return []
            parts, self._parts = self._parts, []
            return [Text("".join(parts)) if isinstance(event, wsproto_events.TextMessage) else Binary(b"".join(parts))]
        if isinstance(event, wsproto_events.Ping):
            return [Ping(bytes(event.payload))]
        if isinstance(event, wsproto_events.Pong):
            return [Pong(bytes(event.payload))]
        assert isinstance(event, wsproto_events.CloseConnection)
        if self._peer.state is wsproto_connection.ConnectionState.OPEN:
            # No close frame came: this is how the library says which one it wants to be sent.
            raise Refused(event.reason)
        # 1005 is the library's word for: none was given.
        return [Close(None if event.code == 1005 else int(event.code), event.reason or "")]


def ours(role: Role) -> WebSocketCodec:
    return WebSocketCodec(role, lambda: os.urandom(4))


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
    connection = ours(role)
    connection.receive_data(frame)
    try:
        while connection.next_message() is not None:
            pass
    except RemoteProtocolError:
        return True
    return False
