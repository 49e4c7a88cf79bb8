"""PROXY headers: every form that is read, and that nothing else is."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.proxy_header import MAX_BINARY, ProxyHeader, parse_proxy_header

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
V4 = socket.inet_aton("203.0.113.9") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 40000, 443)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::9") + bytes(16) + struct.pack("!HH", 40000, 443)


def binary(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


GOOD = [
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n", ("203.0.113.9", 40000), False),
    (b"PROXY TCP6 2001:db8::9 ::1 40000 443\r\n", ("2001:db8::9", 40000), False),
    (b"PROXY UNKNOWN\r\n", None, False),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None, False),
    (binary(0x21, 0x11, V4), ("203.0.113.9", 40000), False),
    (binary(0x21, 0x11, V4 + b"\x04\x00\x01x"), ("203.0.113.9", 40000), False),
    (binary(0x21, 0x21, V6), ("2001:db8::9", 40000), False),
    (binary(0x21, 0x00, b""), None, False),
    (binary(0x21, 0x31, bytes(216)), None, False),
    (binary(0x20, 0x00, b""), None, True),
    (binary(0x20, 0x11, V4), None, True),
]


@pytest.mark.parametrize(("header", "source", "local"), GOOD)
def test_headers_that_are_read(header: bytes, source: tuple[str, int] | None, local: bool) -> None:
    assert parse_proxy_header(header) == ProxyHeader(source, local, b"")
    assert parse_proxy_header(header + b"GET / HTTP/1.1\r\n") == ProxyHeader(source, local, b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("header", [header for header, _, _ in GOOD])
def test_a_part_of_a_header_is_no_header_yet(header: bytes) -> None:
    assert all(parse_proxy_header(header[:end]) is None for end in range(len(header)))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000\r\n",
        b"PROXY TCP4 203.0.113.9  192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.009 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 2001:db8::9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP6 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.9 nobody 40000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 040000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 70000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 +1 443\r\n",
        b"PROXY tcp4 203.0.113.9 192.0.2.1 1 443\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.1 1 443\r\n",
        b"PROXY UNKNOWNGET\r\n",
        b"PROXY " + b"x" * 101,
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1 443\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1\r443",
        binary(0x11, 0x11, V4),
        binary(0x22, 0x11, V4),
        binary(0x21, 0x12, V4),
        binary(0x21, 0x11, V4[:-1]),
        binary(0x21, 0x21, V4),
        binary(0x21, 0x11, V4 + bytes(MAX_BINARY)),
        b"\r\n\r\nGET",
    ],
)
def test_other_data_is_refused(data: bytes) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_proxy_header(data)
    assert caught.value.http_status == 400


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
def test_any_bytes_are_read_or_refused(data: bytes, begin: bytes) -> None:
    try:
        header = parse_proxy_header(begin + data)
    except HandshakeError:
        return
    assert header is None or (begin + data).endswith(header.rest)
