from __future__ import annotations

import errno
import fcntl
import os
import socket
import tty
from collections.abc import Iterator

import pytest

from medusa.client.ledger import Ledger
from medusa.client.terminal.stdin import Stdin
from medusa.client.terminal.tty import Terminal


@pytest.fixture(params=["pipe", "pty", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A reading end and a writing end."""
    if request.param == "pty":
        master, slave = os.openpty()
        tty.setraw(slave)
        ends = slave, master
    elif request.param == "socket":
        near, far = socket.socketpair()
        ends = near.detach(), far.detach()
    else:
        ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_it_does_not_wait_for_bytes_that_another_reader_has_taken(ends: tuple[int, int]) -> None:
    reader, writer = ends
    before = fcntl.fcntl(reader, fcntl.F_GETFL)
    stdin = Stdin(reader)
    os.write(writer, b"key")
    assert stdin.read(2) == b"ke"
    assert os.read(reader, 10) == b"y"
    assert stdin.read(10) is None
    assert fcntl.fcntl(reader, fcntl.F_GETFL) == before
    assert not before & os.O_NONBLOCK
    stdin.close()


def test_the_end(pipe: tuple[int, int]) -> None:
    reader = os.dup(pipe[0])
    stdin = Stdin(reader)
    os.close(reader)
    file = os.open(os.devnull, os.O_RDONLY)
    null = Stdin(file)
    assert null.read(10) == b""
    os.close(file)
    null.close()
    stdin.close()


@pytest.mark.parametrize("error", [errno.EIO, errno.EAGAIN])
def test_a_terminal_that_cannot_be_read_now_is_not_gone(tty: int, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """In the background, or another program has set O_NONBLOCK."""

    def fail(self: Stdin, size: int) -> bytes | None:
        raise OSError(error, "")

    with Terminal(tty, Ledger()) as terminal:
        assert terminal.make_raw()
        monkeypatch.setattr(Stdin, "read", fail)
        assert terminal.read(10) is None
        assert not terminal.gone
        assert terminal.away
        assert terminal.make_raw()
        assert not terminal.away
