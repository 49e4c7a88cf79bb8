"""Breaches of each rule of part 3 of docs/protocol.md: what a hostile peer sends, and the code that names it."""

from __future__ import annotations

import struct
from hashlib import sha256

from tests.streams.wire import frame, record

OPEN, OPENED, REFUSED, DATA, EOF, STOP, WINDOW, REQUEST, RESULT, CLOSE, GOAWAY = range(1, 12)
SESSION = b'{"kind":"session"}'
LIMIT = struct.pack("!Q", 1 << 30)


def end(data: bytes, count: int | None = None) -> bytes:
    return struct.pack("!Q", len(data) if count is None else count) + sha256(data).digest()


ENDS = frame(EOF, 1, 1, end(b"")) + frame(EOF, 2, 1, end(b""))

RECORDS: list[tuple[str, bytes]] = [
    ("bad-record", b""),
    ("bad-record", b"\1"),
    ("bad-record", record(1, 0)),
    ("bad-record", record(0, 0, b"x")),
    ("bad-record", record(3, 0, b"x")),
    ("bad-record", record(2, 0, b"\1")),
    ("bad-record", record(2, 0, record(1, 0))),
    ("bad-record", record(2, 0, record(2, 0))),
    ("bad-record", record(2, 0, record(3, 0, b"x"))),
    ("ack-ahead", record(2, 1)),
    ("ack-ahead", record(2, (1 << 64) - 1, record(1, 0, b"x"))),
    ("gap", record(1, 1, b"x")),
    ("gap", record(1, (1 << 64) - 1, b"x")),
]
"""Code, and the first message of a peer."""

STREAMS: list[tuple[str, str, bytes]] = [
    ("bad-frame", "client", frame(0, 0, 1)),
    ("bad-frame", "client", frame(12, 0, 1)),
    ("bad-frame", "agent", frame(255, 255, 1)),
    ("bad-frame", "agent", frame(DATA, 0, 1)),
    ("bad-frame", "agent", struct.pack("!BBHI", DATA, 0, 32769, 1)),
    ("bad-frame", "agent", struct.pack("!BBHI", REQUEST, 0, 65535, 1)),
    ("bad-frame", "agent", frame(REQUEST, 0, 1, b"{")),
    ("bad-frame", "agent", frame(EOF, 0, 1, bytes(39))),
    ("bad-frame", "agent", frame(EOF, 0, 1, bytes(41))),
    ("bad-frame", "client", frame(STOP, 0, 1, b"x")),
    ("bad-frame", "client", frame(WINDOW, 0, 1, bytes(7))),
    ("bad-frame", "client", frame(CLOSE, 1, 1)),
    ("bad-frame", "client", frame(DATA, 1, 0, b"x")),
    ("bad-frame", "client", frame(OPEN, 0, 0, SESSION)),
    ("bad-frame", "client", frame(GOAWAY, 0, 1)),
    ("bad-id", "agent", frame(OPEN, 0, 2, SESSION)),
    ("bad-id", "agent", frame(OPEN, 0, 1, SESSION)),
    ("bad-id", "agent", frame(OPEN, 0, 7, SESSION) + frame(OPEN, 0, 5, SESSION)),
    ("bad-id", "client", frame(OPEN, 0, 3, b'{"kind":"accepted","listener":1}')),
    ("unknown-channel", "agent", frame(DATA, 0, 3, b"x")),
    ("unknown-channel", "agent", frame(CLOSE, 0, 2)),
    ("unknown-channel", "client", frame(OPENED, 0, 3, b"{}")),
    ("unknown-channel", "client", frame(REQUEST, 0, (1 << 32) - 1, b"{}")),
    ("closed-channel", "client", frame(CLOSE, 0, 1) + frame(CLOSE, 0, 1)),
    ("closed-channel", "agent", frame(CLOSE, 0, 1) + frame(WINDOW, 0, 1, LIMIT)),
    ("closed-channel", "agent", frame(OPEN, 0, 3, b"[]") + frame(CLOSE, 0, 3) + frame(DATA, 0, 3, b"x")),
    ("bad-order", "client", frame(OPENED, 0, 1, b"{}")),
    ("bad-order", "client", frame(REFUSED, 0, 1, b"{}")),
    ("bad-order", "agent", frame(OPENED, 0, 1, b"{}")),
    ("bad-order", "agent", frame(RESULT, 0, 1, b'{"status":0}')),
    ("bad-order", "agent", frame(OPEN, 0, 3, SESSION) + frame(DATA, 0, 3, b"x")),
    ("bad-order", "agent", frame(EOF, 0, 1, end(b"")) + frame(DATA, 0, 1, b"x")),
    ("bad-order", "agent", frame(EOF, 0, 1, end(b"")) * 2),
    ("bad-order", "client", frame(RESULT, 0, 1, b'{"status":0}')),
    ("bad-order", "client", frame(EOF, 1, 1, end(b"")) + frame(RESULT, 0, 1, b'{"status":0}')),
    ("bad-order", "client", ENDS + frame(RESULT, 0, 1, b'{"status":0}') * 2),
    ("bad-sub", "agent", frame(DATA, 1, 1, b"x")),
    ("bad-sub", "client", frame(DATA, 0, 1, b"x")),
    ("bad-sub", "client", frame(EOF, 3, 1, end(b""))),
    ("bad-sub", "client", frame(WINDOW, 1, 1, LIMIT)),
    ("bad-sub", "agent", frame(STOP, 0, 1)),
    ("window-overrun", "agent", frame(DATA, 0, 1, bytes(32768)) * 2 + frame(DATA, 0, 1, b"x")),
    ("window-overrun", "agent", frame(DATA, 0, 1, bytes(32768)) * 100),
    ("window-back", "client", frame(WINDOW, 0, 1, LIMIT) + frame(WINDOW, 0, 1, bytes(8))),
    ("window-back", "client", frame(WINDOW, 0, 1, struct.pack("!Q", 65535))),
    ("too-many-opens", "agent", b"".join(frame(OPEN, 0, number, SESSION) for number in range(3, 20003, 2))),
    ("overflow", "agent", b"".join(frame(OPEN, 0, i, b"{}") + frame(CLOSE, 0, i) for i in range(3, 20003, 2))),
]
"""Code, which end the peer talks to, and what it sends. Channel 1 is a session on pipes that was accepted."""

NESTED = b'{"a":' + b"[" * 30_000 + b"]" * 2_000 + b"}"
FLOOD = b'{"type":"signal","name":' + b"9" * 32_000 + b"}"

CHANNELS: list[tuple[str, str, int, bytes]] = [
    ("count", "agent", CLOSE, frame(DATA, 0, 1, b"abc") + frame(EOF, 0, 1, end(b"abc", 2))),
    ("count", "agent", CLOSE, frame(EOF, 0, 1, end(b"", 1 << 63))),
    ("digest", "agent", CLOSE, frame(DATA, 0, 1, b"abc") + frame(EOF, 0, 1, end(b"abd"))),
    ("digest", "client", CLOSE, frame(DATA, 2, 1, b"abc") + frame(EOF, 2, 1, end(b"", 3))),
    ("bad-json", "agent", CLOSE, frame(REQUEST, 0, 1, b"[]")),
    ("bad-json", "agent", CLOSE, frame(REQUEST, 0, 1, b"{\xff}")),
    ("bad-json", "agent", CLOSE, frame(REQUEST, 0, 1, b"{'type'}")),
    ("bad-json", "agent", CLOSE, frame(REQUEST, 0, 1, NESTED)),
    ("bad-json", "agent", CLOSE, frame(REQUEST, 0, 1, "{}".encode("utf-16"))),
    ("bad-request", "agent", CLOSE, frame(REQUEST, 0, 1, b'{"type":"resize","columns":1}')),
    ("bad-request", "agent", CLOSE, frame(REQUEST, 0, 1, b'{"type":"resize","columns":1,"lines":-1}')),
    ("bad-request", "agent", CLOSE, frame(REQUEST, 0, 1, b'{"type":"resize","columns":1,"lines":true}')),
    ("bad-request", "agent", CLOSE, frame(REQUEST, 0, 1, b'{"type":"signal","name":"\\u0000"}')),
    ("bad-request", "agent", CLOSE, frame(REQUEST, 0, 1, b'{"type":"signal","name":["INT"]}')),
    *(
        (
            "bad-request",
            "client",
            CLOSE,
            frame(EOF, 1, 1, end(b"")) + frame(EOF, 2, 1, end(b"")) + frame(RESULT, 0, 1, x),
        )
        for x in (b"{}", b'{"status":256}', b'{"status":-1}', b'{"status":1.0}', b'{"status":0,"signal":"KILL"}')
    ),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b"[]")),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, NESTED)),
    *(
        ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"session",%s}' % fields))
        for fields in (
            b'"command":7',
            b'"env":[]',
            b'"env":{"A":1}',
            b'"env":{"A":"\\u0000"}',
            b'"cwd":"\\ud800"',
            b'"pty":{}',
            b'"pty":{"columns":80}',
            b'"pty":true',
        )
    ),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"tcp","host":"h"}')),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"tcp","host":"h","port":0}')),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"tcp","host":"%s","port":1}' % (b"h" * 256))),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"unix","path":"%s"}' % (b"/" * 4097))),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"attach","read_only":1}')),
    ("bad-open", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"attach","replay":1048577}')),
    ("unknown-kind", "agent", REFUSED, frame(OPEN, 0, 3, b"{}")),
    ("unknown-kind", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":["session"]}')),
    ("unknown-kind", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"x11"}')),
    ("unknown-kind", "agent", REFUSED, frame(OPEN, 0, 3, b'{"kind":"accepted","listener":1}')),
    ("unknown-kind", "client", REFUSED, frame(OPEN, 0, 2, SESSION)),
    ("limit", "agent", REFUSED, b"".join(frame(OPEN, 0, number, SESSION) for number in range(3, 1539, 2))),
    ("timeout", "agent", REFUSED, frame(OPEN, 0, 3, SESSION)),
]
"""Code, which end the peer talks to, the frame that says so, and what the peer sends. The stream goes on."""
