from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.terminal import stdout as module
from medusa.client.terminal.stdout import Outlet
from tests.waiting import wait_until

BULK = bytes(range(256)) * 4096  # 1 MiB, more than a pipe holds


@pytest.fixture(params=["pipe", "pty", "socket", "pipe, not reopened"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A reading end and a writing end that fills up."""
    if "not reopened" in request.param:
        monkeypatch.setattr(module, "_reopen", lambda fd: None)
    if request.param == "pty":
        reader, writer = os.openpty()
    elif request.param == "socket":
        reader, writer = (end.detach() for end in socket.socketpair())
    else:
        reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def flags(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETFL)


def test_a_reader_that_stops_stops_only_the_outlet(ends: tuple[int, int]) -> None:
    reader, writer = ends
    os.set_blocking(reader, False)
    outlet = Outlet(writer)
    outlet.put(BULK)
    outlet.pump()
    assert 0 < outlet.pending < len(BULK)
    outlet.pump()  # returns, though a pty's own buffers may have made room for a little more
    assert outlet.pending > 0
    heard = 0

    def all_heard() -> bool:
        nonlocal heard
        outlet.pump()
        try:
            heard += len(os.read(reader, 65536).replace(b"\r\n", b"\n"))
        except BlockingIOError:
            pass
        return outlet.pending == 0 and heard >= len(BULK)

    wait_until(all_heard, "all bytes")
    outlet.close()


def test_the_flags_that_others_share_are_left_alone(ends: tuple[int, int]) -> None:
    _, writer = ends
    before = flags(writer)
    outlet = Outlet(writer)
    outlet.put(BULK)
    outlet.pump()
    assert flags(writer) == before
    assert not before & os.O_NONBLOCK
    outlet.close()


def test_bytes_come_out_unchanged_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "out"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"before ")
    outlet = Outlet(fd)
    outlet.put(b"")
    for piece in (b"one ", b"two ", b"three"):
        outlet.put(piece)
    outlet.pump()
    outlet.close()
    os.write(fd, b" after")
    os.close(fd)
    assert path.read_bytes() == b"before one two three after"


def test_nobody_reads_any_more() -> None:
    reader, writer = os.pipe()
    outlet = Outlet(writer)
    os.close(reader)
    outlet.put(b"x")
    with pytest.raises(BrokenPipeError):
        outlet.pump()
    outlet.close()
    os.close(writer)
