"""Mailboxes carry descriptors, keep what nobody has read yet, and have an end."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from medusa.reflector.workers.fd_channel import collect, mailbox, post
from medusa.reflector.workers.letters import MAX_LETTER, BadLetter

Box = tuple[socket.socket, socket.socket]


@pytest.fixture
def box() -> Iterator[Box]:
    inbox, outbox = mailbox()
    with inbox, outbox:
        yield inbox, outbox


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def fill(outbox: socket.socket, fd: int) -> int:
    """Returns how many letters it took."""
    for posted in range(1000):
        try:
            post(outbox, bytes(MAX_LETTER // 2), fd)
        except BlockingIOError:
            return posted
    raise AssertionError("never full")


def test_a_letter_and_its_descriptor(box: Box, pipe: tuple[int, int]) -> None:
    inbox, outbox = box
    post(outbox, b"first", pipe[1])
    post(outbox, bytes(MAX_LETTER), pipe[1])
    os.close(pipe[1])
    for expected in (b"first", bytes(MAX_LETTER)):
        packet, fd = collect(inbox)
        assert packet == expected
        assert not os.get_inheritable(fd)
        os.write(fd, b"x")
        os.close(fd)
    assert os.read(pipe[0], 10) == b"xx"
    assert os.read(pipe[0], 10) == b"", "no copy is left anywhere"
    with pytest.raises(BlockingIOError):
        collect(inbox)


def test_is_full_at_some_time_and_then_not(box: Box, pipe: tuple[int, int]) -> None:
    inbox, outbox = box
    posted = fill(outbox, pipe[1])
    assert 4 <= posted < 100
    for _ in range(posted):
        os.close(collect(inbox)[1])
    post(outbox, b"again", pipe[1])
    os.close(collect(inbox)[1])


def test_with_no_descriptor_left_a_letter_stays(
    box: Box, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    inbox, outbox = box
    post(outbox, b"later", pipe[1])
    with monkeypatch.context() as scarce:
        scarce.setattr(socket, "dup", refuse)
        with pytest.raises(OSError, match="Too many"):
            collect(inbox)
    packet, fd = collect(inbox)
    assert packet == b"later"
    os.close(fd)


def test_what_comes_without_a_descriptor(box: Box) -> None:
    inbox, outbox = box
    outbox.send(b"nothing with it")
    with pytest.raises(BadLetter, match="descriptor"):
        collect(inbox)


def test_what_comes_with_too_many(box: Box, pipe: tuple[int, int]) -> None:
    """The leak check of every test sees to it that none stays open."""
    inbox, outbox = box
    socket.send_fds(outbox, [b"two"], [pipe[0], pipe[1]])
    with pytest.raises(BadLetter):
        collect(inbox)


def test_what_is_too_long(box: Box, pipe: tuple[int, int]) -> None:
    inbox, outbox = box
    socket.send_fds(outbox, [bytes(MAX_LETTER + 1)], [pipe[0]])
    with pytest.raises(BadLetter, match="cut short"):
        collect(inbox)
