from __future__ import annotations

import pytest

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.early_check import EarlyCheck
from medusa.protocol.http.head import MAX_HEADERS, MAX_LINE
from tests.unit.protocol.http.test_head import AMBIGUOUS, FRONT_DOOR, request

LATE = {"an empty head", "no host", "a URL, and no Host header"}
"""Only their end shows that they are not legal."""


def check(data: bytes, size: int) -> None:
    early = EarlyCheck()
    for end in range(size, len(data) + size, size):
        early.check(data[:end])


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "head",
    [
        FRONT_DOOR,
        request(b"A:", b"B: \xff\t x", b"C: " + b"x" * 1000, first=b"GET http://h/x?y HTTP/1.0"),
        request(b"D: " + b"x" * (MAX_LINE - 3)),
        b"GET / HTTP/1.1\r\n" + b"\r\n".join(b"A%d: b" % number for number in range(MAX_HEADERS)),
    ],
)
def test_a_legal_head_may_come_in_pieces(head: bytes, size: int) -> None:
    check(head + b"\r\n\r", size)


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nA\0b",
        b"GET / HTTP/1.1\r\nA: \x1b",
        b"GET / HTTP/1.1\r\n ",
        b"GET / HTTP/1.1\r\n\t",
        b"GET / HTTP/1.1\r\n:",
        b"GET / HTTP/1.1\r\nHost h",
        b"GET / HTTP/1.1\r\nHost\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n",
        b"GET /\x01",
        b"GET /\xc3",
        b"GET  /",
        b"GET / / ",
        b"GET / HTTP/9\r\n",
        b"GET x HTTP/1.1\r\n",
        b"SSH-2.0-x\r\n",
        b"\r\n",
        b"\0",
        b"\xff\xfb",
        b"{",
        b"GET / HTTP/1.1\r\nA: " + b"b" * MAX_LINE,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1),
    ],
)
def test_a_beginning_of_no_legal_head(start: bytes, size: int) -> None:
    with pytest.raises(HandshakeError) as refused:
        check(start, size)
    assert refused.value.http_status == 400


@pytest.mark.parametrize("head", [head for name, head in AMBIGUOUS.items() if name not in LATE])
def test_what_could_be_read_in_two_ways_is_refused_before_its_end(head: bytes) -> None:
    with pytest.raises(HandshakeError):
        check(head + b"\r\n", 10_000)
