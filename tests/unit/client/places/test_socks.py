"""SOCKS 4, 4a and 5: any chunking of the bytes gives the same, and nothing is taken that follows a request."""

from __future__ import annotations

import pytest

from medusa.client.places.socks import NotSocks, Socks
from medusa.client.places.specs import Place

REST = b"\x05GET /"

REQUESTS = {
    "4": (b"\x04\x01\x00\x50\x7f\x00\x00\x01me\x00", Place("127.0.0.1", 80), b"", b"\x00\x5a" + bytes(6)),
    "4a": (b"\x04\x01\x00\x50\x00\x00\x00\x01\x00web\x00", Place("web", 80), b"", b"\x00\x5a" + bytes(6)),
    "5 name": (
        b"\x05\x02\x00\x02\x05\x01\x00\x03\x03web\x00\x50",
        Place("web", 80),
        b"\x05\x00",
        b"\x05\x00\x00\x01" + bytes(6),
    ),
    "5 IPv4": (
        b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
        Place("127.0.0.1", 80),
        b"\x05\x00",
        b"\x05\x00\x00\x01" + bytes(6),
    ),
    "5 IPv6": (
        b"\x05\x01\x00\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50",
        Place("::1", 80),
        b"\x05\x00",
        b"\x05\x00\x00\x01" + bytes(6),
    ),
}

GREETING = b"\x05\x01\x00"
GARBAGE = {
    "another protocol": (b"GET / HTTP/1.1\r\n", b""),
    "version 0": (bytes(20), b""),
    "authentication": (b"\x05\x01\x02", b"\x05\xff"),
    "to listen": (GREETING + b"\x05\x02\x00\x01", b"\x05\x07\x00\x01" + bytes(6)),
    "an unknown address": (GREETING + b"\x05\x01\x00\x02\x00", b"\x05\x08\x00\x01" + bytes(6)),
    "another version": (GREETING + b"\x04\x01\x00\x01", b"\x05\x01\x00\x01" + bytes(6)),
    "no name": (GREETING + b"\x05\x01\x00\x03\x00\x00\x50", b"\x05\x01\x00\x01" + bytes(6)),
    "port 0": (GREETING + b"\x05\x01\x00\x03\x01w\x00\x00", b"\x05\x01\x00\x01" + bytes(6)),
    "a name with a space": (GREETING + b"\x05\x01\x00\x03\x03a b\x00\x50", b"\x05\x01\x00\x01" + bytes(6)),
    "4 to listen": (b"\x04\x02\x00\x50", b"\x00\x5b" + bytes(6)),
    "4 with an endless user": (b"\x04\x01\x00\x50\x7f\x00\x00\x01" + b"u" * 300, b"\x00\x5b" + bytes(6)),
    "4a with an endless name": (b"\x04\x01\x00\x50\x00\x00\x00\x01\x00" + b"w" * 300, b"\x00\x5b" + bytes(6)),
}


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request(name: str, size: int) -> None:
    request, target, greeting, granted = REQUESTS[name]
    data, socks, used, answers = request + REST, Socks(), 0, b""
    while used < len(request):
        step = socks.feed(data[used : used + size])
        used += step.used
        answers += step.answer
    assert (socks.target, used, answers, socks.granted()) == (target, len(request), greeting, granted)


def feed(socks: Socks, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        assert socks.feed(data[at : at + size]).used


@pytest.mark.parametrize("size", [1, 400])
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(name: str, size: int) -> None:
    data, last = GARBAGE[name]
    socks = Socks()
    with pytest.raises(NotSocks) as caught:
        feed(socks, data, size)
    assert caught.value.answer in (last, b"")
    assert socks.target is None


@pytest.mark.parametrize(
    ("code", "five"), [("refused", 5), ("unknown-host", 4), ("timeout", 6), ("forbidden", 2), ("limit", 1)]
)
def test_a_refusal(code: str, five: int) -> None:
    socks = Socks()
    socks.feed(REQUESTS["5 name"][0])
    assert socks.refused(code)[:2] == bytes((5, five))
    socks = Socks()
    socks.feed(REQUESTS["4"][0])
    assert socks.refused(code)[:2] == b"\x00\x5b"
