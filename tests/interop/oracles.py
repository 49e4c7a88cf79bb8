"""Two independent websocket libraries with one interface: what they read, as our messages."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

import wsproto.connection as wsproto_connection
import wsproto.events as wsproto_events
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from medusa.protocol.messages import Binary, Close, Kind, Message, Ping, Pong, Text
from medusa.protocol.websocket.codec import Role


class Refused(Exception):
    """The library says that the bytes it was given break RFC 6455."""


class Websockets:
    """PyPI `websockets`, its sans-I/O protocol. It leaves the decoding of text to its callers."""

    def __init__(self, role: Role) -> None:
        side = Side.CLIENT if role is Role.CLIENT else Side.SERVER
        self._peer = Protocol(side, state=State.OPEN, max_size=None)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._pieces: list[bytes] = []
        self._kind = Kind.BINARY

    def receive(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises Refused."""
        self._peer.receive_data(data)
        if self._peer.parser_exc is not None:
            raise Refused(str(self._peer.parser_exc))
        frames = [event for event in self._peer.events_received() if isinstance(event, Frame)]
        try:
            return [message for frame in frames for message in self._messages(frame)]
        except UnicodeDecodeError as error:
            raise Refused(str(error)) from error

    def answers(self) -> bytes:
        """What the library wants to send on its own: pongs, the answer to a close."""
        return b"".join(self._peer.data_to_send())

    def send(self, message: Message) -> bytes:
        """The frame of a message."""
        if isinstance(message, Text):
            self._peer.send_text(message.text.encode())
        elif isinstance(message, Binary):
            self._peer.send_binary(message.data)
        elif isinstance(message, Close):
            self._peer.send_close(message.code, message.reason)
        elif isinstance(message, Ping):
            self._peer.send_ping(message.payload)
        else:
            self._peer.send_pong(message.payload)
        return self.answers()

    def send_pieces(self, kind: Kind, pieces: Sequence[bytes]) -> list[bytes]:
        """The frames of one fragmented message."""
        begin = self._peer.send_text if kind is Kind.TEXT else self._peer.send_binary
        frames = []
        for index, piece in enumerate(pieces):
            final = index == len(pieces) - 1
            if index:
                self._peer.send_continuation(piece, fin=final)
            else:
                begin(piece, fin=final)
            frames.append(self.answers())
        return frames

    def _messages(self, frame: Frame) -> list[Message]:
        data = bytes(frame.data)
        if frame.opcode is Opcode.PING:
            return [Ping(data)]
        if frame.opcode is Opcode.PONG:
            return [Pong(data)]
        if frame.opcode is Opcode.CLOSE:
            return [Close(int.from_bytes(data[:2], "big") if data else None, data[2:].decode())]
        if frame.opcode is not Opcode.CONT:
            self._pieces, self._kind = [], Kind.TEXT if frame.opcode is Opcode.TEXT else Kind.BINARY
        self._pieces.append(data)
        if self._kind is Kind.TEXT:
            self._decoder.decode(data, frame.fin)
        if not frame.fin:
            return []
        whole = b"".join(self._pieces)
        return [Text(whole.decode()) if self._kind is Kind.TEXT else Binary(whole)]


class Wsproto:
    """PyPI `wsproto`, past its handshake."""

    def __init__(self, role: Role) -> None:
        kind = wsproto_connection.CLIENT if role is Role.CLIENT else wsproto_connection.SERVER
        self._peer = wsproto_connection.Connection(kind)
        self._text: list[str] = []
        self._data = b""
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
        last = len(pieces) - 1
        if kind is Kind.TEXT:
            texts = (
                wsproto_events.TextMessage(piece.decode(), message_finished=at == last)
                for at, piece in enumerate(pieces)
            )
            return [self._peer.send(event) for event in texts]
        parts = (wsproto_events.BytesMessage(piece, message_finished=at == last) for at, piece in enumerate(pieces))
        return [self._peer.send(event) for event in parts]

    def _messages(self, event: wsproto_events.Event) -> list[Message]:
        if isinstance(event, wsproto_events.TextMessage):
            self._text.append(event.data)
            if not event.message_finished:
                return []
            text, self._text = "".join(self._text), []
            return [Text(text)]
        if isinstance(event, wsproto_events.BytesMessage):
            self._data += bytes(event.data)
            if not event.message_finished:
                return []
            data, self._data = self._data, b""
            return [Binary(data)]
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


Oracle = Websockets | Wsproto
ORACLES = (Websockets, Wsproto)
