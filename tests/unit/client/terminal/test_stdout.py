from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.terminal import stdout as module
from medusa.client.terminal.stdout import Stdout
from tests.waiting import wait_until

BULK = bytes(range(256)) * 4096  # 1 MiB, more than a pipe holds


@pytest.fixture(params=["pipe", "pty", "socket", "pipe, not reopened"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A reading end and a writing end that fills up."""
    if "not reopened" in request.param:
        monkeypatch.setattr(module, "reopen", lambda fd, access: None)
    if request.param == "pty":
        ends = os.openpty()
    elif request.param == "socket":
        near, far = socket.socketpair()
        ends = near.detach(), far.detach()
    else:
        ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def flags(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETFL)


def test_a_reader_that_stops_stops_only_the_outlet(ends: tuple[int, int]) -> None:
    reader, writer = ends
    os.set_blocking(reader, False)
    stdout = Stdout(writer)
    stdout.put(BULK)
    stdout.pump()
    assert 0 < stdout.pending < len(BULK)
    stdout.pump()  # returns, though a pty's own buffers may have made room for a little more
    assert stdout.pending > 0
    heard = 0

    def all_heard() -> bool:
        nonlocal heard
        stdout.pump()
        try:
            heard += len(os.read(reader, 65536).replace(b"\r\n", b"\n"))
        except BlockingIOError:
            pass
        return stdout.pending == 0 and heard >= len(BULK)

    wait_until(all_heard, "all bytes", nap=lambda _: None)
    stdout.close()


def test_the_flags_that_others_share_are_left_alone(ends: tuple[int, int]) -> None:
    _, writer = ends
    before = flags(writer)
    stdout = Stdout(writer)
    stdout.put(BULK)
    stdout.pump()
    assert flags(writer) == before
    assert not before & os.O_NONBLOCK
    stdout.close()


def test_bytes_come_out_unchanged_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "out"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"before ")
    stdout = Stdout(fd)
    stdout.put(b"")
    for piece in (b"one ", b"two ", b"three"):
        stdout.put(piece)
    stdout.pump()
    stdout.close()
    os.write(fd, b" after")
    os.close(fd)
    assert path.read_bytes() == b"before one two three after"


def test_nobody_reads_any_more() -> None:
    reader, writer = os.pipe()
    stdout = Stdout(writer)
    os.close(reader)
    stdout.put(b"x")
    with pytest.raises(BrokenPipeError):
        stdout.pump()
    stdout.close()
    os.close(writer)
