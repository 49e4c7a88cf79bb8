"""What workers write to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.reflector.workers.letters import MAX_HEADER, MAX_LETTER, STATUS, BadLetter, Letter, pack, unpack

ADDRESSES = [("127.0.0.1", 4711), ("::1", 65535, 0, 0), ("fe80::1%eth0", 1, 2, 3), ()]


@pytest.mark.parametrize("address", ADDRESSES)
@given(data=st.binary(max_size=300))
def test_is_understood_as_it_was_meant(address: tuple[object, ...], data: bytes) -> None:
    letter = Letter("http", address, data)
    assert unpack(pack(letter)) == letter


def test_of_the_largest_size() -> None:
    header = len(pack(Letter("http", ADDRESSES[0])))
    letter = Letter("http", ADDRESSES[0], bytes(MAX_LETTER - header))
    assert len(pack(letter)) == MAX_LETTER
    assert unpack(pack(letter)) == letter
    with pytest.raises(BadLetter, match="65537 bytes"):
        pack(letter._replace(data=letter.data + b"\n"))


def test_with_a_header_that_is_too_long() -> None:
    with pytest.raises(BadLetter):
        pack(Letter("x" * MAX_HEADER))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"[]",
        b"\n",
        b"[]\n",
        b"{}\n",
        b"7\n",
        b'"status"\n',
        b'[7, "127.0.0.1", 1]\nGET',
        b'["http", "127.0.0.1"]\n',
        b'["http", 1, "127.0.0.1"]\n',
        b'["http", "127.0.0.1", 1, 2]\n',
        b'["http", "127.0.0.1", true]\n',
        b'["http", "127.0.0.1", 1, 2, 3, 4]\n',
        b'["http", "127.0.0.1", 1.5]\n',
        b"\xff\xfe\n",
        b"[" * 400 + b"\n",
        pack(Letter(STATUS)).replace(b"\n", b" " * MAX_HEADER + b"\n"),
        pack(Letter(STATUS)) + bytes(MAX_LETTER),
    ],
)
def test_of_another_form_is_refused(packet: bytes) -> None:
    with pytest.raises(BadLetter):
        unpack(packet)
