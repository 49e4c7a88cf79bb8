"""Frames made by hand, legal and not, and both faces of their codecs driven over them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from medusa.protocol.errors import BadFrame, BadText, MessageTooBig, RemoteProtocolError
from medusa.protocol.messages import MAX_MESSAGE, Close, Message, Ping, Pong
from medusa.protocol.relay import Framing, Relayed
from medusa.protocol.websocket.codec import MessageCodec, Role, WebSocketCodec
from medusa.protocol.websocket.header import parse_header
from medusa.protocol.websocket.masking import apply_mask_pure
from medusa.protocol.websocket.relay import WEBSOCKET, WebSocketRelay

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x12\x34\x56\x78"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes | None = KEY) -> bytes:
    """One frame, masked unless `key` is None; `rsv` as in the first byte, 0x40 to 0x10."""
    return head(opcode, len(payload), fin=fin, rsv=rsv, key=key) + (apply_mask_pure(payload, key) if key else payload)


def head(
    opcode: int, length: int, *, fin: bool = True, rsv: int = 0, key: bytes | None = KEY, width: int | None = None
) -> bytes:
    """A frame's header; `width` (0, 2 or 8 bytes of length) where it is not to be the shortest."""
    if width is None:
        width = 0 if length < 126 else 2 if length < 65536 else 8
    first, bit = 0x80 * fin | rsv | opcode, 0x80 * (key is not None)
    extended = {0: b"", 2: struct.pack("!H", length & 0xFFFF), 8: struct.pack("!Q", length)}[width]
    return bytes((first, bit | {0: length, 2: 126, 8: 127}[width])) + extended + (key or b"")


def raw_frame(kind: int, payload: bytes = b"", *, version: int = 1, flags: int = 0, length: int | None = None) -> bytes:
    """A frame of raw TCP; `length` where the header is not to say the payload's."""
    size = len(payload) if length is None else length
    return bytes((version << 4 | kind, flags)) + size.to_bytes(6, "big") + payload


ILLEGAL = [
    *((f"reserved bit {bit:#x}", frame(BINARY, b"x", rsv=bit), BadFrame) for bit in (0x10, 0x20, 0x40)),
    *((f"opcode {opcode}", frame(opcode, b"x"), BadFrame) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    ("not masked", frame(TEXT, b"x", key=None), BadFrame),
    *((f"fragmented control frame {opcode}", frame(opcode, fin=False), BadFrame) for opcode in (CLOSE, PING, PONG)),
    *((f"control frame {opcode} of 126 bytes", head(opcode, 126), BadFrame) for opcode in (CLOSE, PING, PONG)),
    ("125 bytes in 2", head(BINARY, 125, width=2), BadFrame),
    ("65535 bytes in 8", head(BINARY, 65535, width=8), BadFrame),
    ("length above 63 bits", head(BINARY, 1 << 63, width=8), BadFrame),
    ("continuation of nothing", frame(CONT, b"x"), BadFrame),
    ("unfinished continuation of nothing", frame(CONT, b"x", fin=False), BadFrame),
    ("continuation after the end", frame(TEXT, fin=False) + frame(CONT) + frame(CONT), BadFrame),
    ("text inside a message", frame(BINARY, b"a", fin=False) + frame(TEXT, b"b"), BadFrame),
    ("binary inside an empty text", frame(TEXT, fin=False) + frame(BINARY, b"b", fin=False), BadFrame),
    ("close of one byte", frame(CLOSE, b"\x03"), BadFrame),
    ("close reason not UTF-8", frame(CLOSE, b"\x03\xe8\xff"), BadText),
    ("text not UTF-8", frame(TEXT, b"a\xff"), BadText),
    ("text ends inside a character", frame(TEXT, "é".encode()[:1]), BadText),
    ("surrogate in text", frame(TEXT, b"\xed\xa0\x80"), BadText),
    ("overlong text", frame(TEXT, b"\xc0\xaf"), BadText),
    ("fragment not UTF-8", frame(TEXT, b"a\xff", fin=False), BadText),
    ("fragments end inside a character", frame(TEXT, b"\xc3", fin=False) + frame(CONT), BadText),
    ("16 MiB and a byte", head(BINARY, (1 << 24) + 1), MessageTooBig),
    ("63 bits of length", head(BINARY, (1 << 63) - 1), MessageTooBig),
]
"""(what is wrong, what a client sends, the error): refused by codec and relay alike."""


def cut(data: bytes, step: int) -> Iterator[bytes]:
    """`data` in pieces of `step` bytes."""
    return (data[at : at + step] for at in range(0, len(data), step))


def server(max_message: int = MAX_MESSAGE) -> WebSocketCodec:
    """The codec of a server's end, which reads masked frames."""
    return WebSocketCodec(Role.SERVER, lambda: KEY, max_message)


def client(max_message: int = MAX_MESSAGE) -> WebSocketCodec:
    """The codec of a client's end, which reads unmasked frames."""
    return WebSocketCodec(Role.CLIENT, lambda: KEY, max_message)


def read(connection: MessageCodec, *chunks: bytes) -> list[Message]:
    """The messages that complete with `chunks`. Raises RemoteProtocolError."""
    messages = []
    for chunk in chunks:
        connection.receive_data(chunk)
        while (message := connection.next_message()) is not None:
            messages.append(message)
    return messages


def outcome(
    *chunks: bytes, max_message: int = MAX_MESSAGE, connection: MessageCodec | None = None
) -> tuple[list[Message], type[RemoteProtocolError] | None]:
    """What the codec (by default of a websocket's server) makes of what a client sends up to a Close: the
    messages, and the error that ended them."""
    connection, messages = connection or server(max_message), list[Message]()
    try:
        for chunk in chunks:
            connection.receive_data(chunk)
            while (message := connection.next_message()) is not None:
                messages.append(message)
                if isinstance(message, Close):
                    return messages, None
    except RemoteProtocolError as error:
        return messages, type(error)
    return messages, None


def relay_all(relay: WebSocketRelay, *chunks: bytes, framing: Framing = WEBSOCKET) -> Relayed:
    """What `relay` makes of `chunks`, put together; it stops at a Close or an error as its users do."""
    whole = Relayed()
    for chunk in chunks:
        result = relay.feed(chunk, framing)
        whole.pieces += result.pieces
        whole.messages += result.messages
        whole.size += result.size
        whole.text += result.text
        whole.left_out += result.left_out
        whole.pings += result.pings
        whole.close, whole.error = result.close, result.error
        if result.close or result.error:
            break
    return whole


def written(relayed: Relayed) -> bytes:
    """The bytes for the other link."""
    return b"".join(relayed.pieces)


def headers_of(data: bytes) -> list[tuple[bool, int, int]]:
    """(fin, opcode, length) of each unmasked frame in `data`; the last may be cut short."""
    found, at = [], 0
    while at < len(data):
        header = parse_header(data, at, False, 1 << 62)
        assert not isinstance(header, int)
        found.append((header.fin, header.opcode, header.length))
        at += header.size + header.length
    return found


def is_data(message: Message) -> bool:
    """Whether a relay forwards it."""
    return not isinstance(message, (Close, Ping, Pong))
