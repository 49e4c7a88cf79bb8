"""Messages keep their form, carry a descriptor, and wait until they are received."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.reflector.workers.fd_channel import (
    MAX_HEADER,
    MAX_PACKET,
    QUESTION,
    BadMessage,
    Message,
    open_channel,
    pack,
    receive,
    send,
    unpack,
)

Channel = tuple[socket.socket, socket.socket]
ADDRESSES = [("127.0.0.1", 4711), ("::1", 65535, 0, 0), ("fe80::1%eth0", 1, 2, 3), ()]


@pytest.mark.parametrize("address", ADDRESSES)
@given(data=st.binary(max_size=300))
def test_unpack_gives_what_was_packed(address: tuple[object, ...], data: bytes) -> None:
    message = Message("http", address, data)
    assert unpack(pack(message)) == message


def test_the_largest_message() -> None:
    header = len(pack(Message("http", ADDRESSES[0])))
    message = Message("http", ADDRESSES[0], bytes(MAX_PACKET - header))
    assert len(pack(message)) == MAX_PACKET
    assert unpack(pack(message)) == message
    with pytest.raises(BadMessage, match="65537 bytes"):
        pack(message._replace(data=message.data + b"\n"))


def test_a_header_that_is_too_long() -> None:
    with pytest.raises(BadMessage):
        pack(Message("x" * MAX_HEADER))


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
        b'[7, false, "127.0.0.1", 1]\nGET',
        b'["http", "127.0.0.1", 1]\n',
        b'["http", 1, "127.0.0.1", 1]\n',
        b'["http", false, "127.0.0.1"]\n',
        b'["http", false, 1, "127.0.0.1"]\n',
        b'["http", false, "127.0.0.1", 1, 2]\n',
        b'["http", false, "127.0.0.1", true]\n',
        b'["http", false, "127.0.0.1", 1, 2, 3, 4]\n',
        b'["http", false, "127.0.0.1", 1.5]\n',
        b"\xff\xfe\n",
        b"[" * 400 + b"\n",
        pack(Message(QUESTION)).replace(b"\n", b" " * MAX_HEADER + b"\n"),
        pack(Message(QUESTION)) + bytes(MAX_PACKET),
    ],
)
def test_another_form_is_refused(packet: bytes) -> None:
    with pytest.raises(BadMessage):
        unpack(packet)


@pytest.fixture
def channel() -> Iterator[Channel]:
    inbox, outbox = open_channel()
    with inbox, outbox:
        yield inbox, outbox


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_a_packet_and_its_descriptor(channel: Channel, pipe: tuple[int, int]) -> None:
    inbox, outbox = channel
    send(outbox, b"first", pipe[1])
    send(outbox, bytes(MAX_PACKET), pipe[1])
    os.close(pipe[1])
    for expected in (b"first", bytes(MAX_PACKET)):
        packet, fd = receive(inbox)
        assert packet == expected
        assert not os.get_inheritable(fd)
        os.write(fd, b"x")
        os.close(fd)
    assert os.read(pipe[0], 10) == b"xx"
    assert os.read(pipe[0], 10) == b"", "no copy is left anywhere"
    with pytest.raises(BlockingIOError):
        receive(inbox)


def test_a_full_channel_has_room_again_after_its_messages_were_received(
    channel: Channel, pipe: tuple[int, int]
) -> None:
    inbox, outbox = channel
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < 1000:
            send(outbox, bytes(MAX_PACKET // 2), pipe[1])
            sent += 1
    assert 4 <= sent < 100
    for _ in range(sent):
        os.close(receive(inbox)[1])
    send(outbox, b"again", pipe[1])
    os.close(receive(inbox)[1])


def test_with_no_descriptor_left_a_packet_stays(
    channel: Channel, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    inbox, outbox = channel
    send(outbox, b"later", pipe[1])
    with monkeypatch.context() as scarce:
        scarce.setattr(socket, "dup", refuse)
        with pytest.raises(OSError, match="Too many"):
            receive(inbox)
    packet, fd = receive(inbox)
    assert packet == b"later"
    os.close(fd)


@pytest.mark.parametrize(
    ("packet", "descriptors", "words"),
    [(b"none", 0, "descriptor"), (b"two", 2, "descriptor"), (bytes(MAX_PACKET + 1), 1, "truncated")],
)
def test_a_packet_with_the_wrong_number_of_descriptors_or_too_long(
    channel: Channel, pipe: tuple[int, int], packet: bytes, descriptors: int, words: str
) -> None:
    """The leak check of every test makes sure that no descriptor stays open."""
    inbox, outbox = channel
    socket.send_fds(outbox, [packet], list(pipe[:descriptors]))
    with pytest.raises(BadMessage, match=words):
        receive(inbox)
