"""Sinks and sources of every kind: what is written and read, the ends, and that nothing blocks."""

from __future__ import annotations

import fcntl
import os
import socket
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from tty import setcbreak

import pytest

from medusa.client.pipes import sink as sinks
from medusa.client.pipes import source as sources
from medusa.client.pipes.descriptors import PIPE_SIZE
from medusa.client.pipes.sink import Sink
from medusa.client.pipes.source import MUCH, Source
from medusa.protocol.channels.subs import Reader
from medusa.protocol.channels.windows import Windows

GETPIPE_SZ = 1032

Ends = tuple[int, int]


def sockets(_: Path) -> Ends:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


def file(path: Path) -> Ends:
    name = path / "file"
    return os.open(name, os.O_RDONLY | os.O_CREAT), os.open(name, os.O_WRONLY | os.O_APPEND)


def terminal(_: Path) -> Ends:
    master, slave = os.openpty()
    return master, slave


KINDS: dict[str, Callable[[Path], Ends]] = {
    "pipe": lambda _: os.pipe(),
    "pipe that cannot be reopened": lambda _: os.pipe(),
    "socket": sockets,
    "file": file,
    "terminal": terminal,
}


@pytest.fixture(params=KINDS)
def ends(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """A descriptor to read, and one to write, whose bytes it gets."""
    if "cannot" in request.param:
        monkeypatch.setattr(sinks, "reopen", lambda fd, access: None)
    pair = KINDS[request.param](tmp_path)
    yield pair
    for fd in pair:
        os.close(fd)


@pytest.fixture
def reader() -> Reader:
    reader = Reader(1, 1, Windows(float), terminal=False, control=lambda frame: None)
    reader.start()
    return reader


def test_a_sink_writes_all_that_has_arrived(ends: Ends, reader: Reader) -> None:
    shown: list[bytes] = []
    sink = Sink(ends[1], shown.append, lasts=True)
    sink.attach(reader)
    reader.feed(memoryview(b"a\0b"))
    reader.feed(memoryview(b"c"))
    while sink.pending:
        sink.pump(0.0)
    assert (os.read(ends[0], 100), sink.events(), sink.lost) == (b"a\0bc", 0, False)
    assert shown == ([b"c"] if os.isatty(ends[1]) else [])
    sink.close()


@pytest.mark.parametrize("kind", ["pipe", "pipe that cannot be reopened", "socket"])
def test_a_full_sink_does_not_block_and_finds_that_its_reader_has_gone(
    kind: str, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "cannot" in kind:
        monkeypatch.setattr(sinks, "reopen", lambda fd, access: None)
    near, far = KINDS[kind](tmp_path)
    sink = Sink(far, lambda data: None, lasts=False)
    sink.attach(reader)
    while not sink.pending:
        reader.feed(memoryview(bytes(1 << 16)))
        sink.pump(0.0)
    os.close(near)
    with pytest.raises(BrokenPipeError):
        sink.pump(0.0)
    sink.stop()
    assert (sink.lost, sink.pending, os.readlink(f"/proc/self/fd/{far}")) == (True, 0, os.devnull)
    os.close(far)


def test_a_pipe_that_is_full_is_enlarged(reader: Reader) -> None:
    near, far = os.pipe()
    sink = Sink(far, lambda data: None, lasts=True)
    sink.attach(reader)
    reader.feed(memoryview(bytes(1 << 17)))
    sink.pump(0.0)
    assert (fcntl.fcntl(near, GETPIPE_SZ), sink.pending) == (PIPE_SIZE, 0)
    sink.close()
    os.close(near)
    os.close(far)


def test_a_source_reads_to_the_end_without_blocking(ends: Ends) -> None:
    near, far = ends
    if os.isatty(far):
        near, far = far, near
    source = Source(near, print)
    assert source.ready(0.0)
    os.write(far, b"line\n")
    assert source.read(100) == b"line\n"
    assert (source.taken, source.over) == (5, False)
    assert not source.read(100)
    source.close()


def test_a_source_that_is_not_wanted_is_closed_for_its_writer() -> None:
    near, far = os.pipe()
    source = Source(near, print)
    source.stop()
    assert (source.over, source.ready(0.0)) == (True, False)
    with pytest.raises(BrokenPipeError):
        os.write(far, b"x")
    os.close(near)
    os.close(far)


def test_a_pipe_that_brings_much_is_enlarged() -> None:
    near, far = os.pipe()
    source = Source(near, print)
    os.write(far, bytes(MUCH))
    assert source.read(MUCH) == bytes(MUCH)
    assert fcntl.fcntl(far, GETPIPE_SZ) == PIPE_SIZE
    source.close()
    os.close(near)
    os.close(far)


def test_a_terminal_is_read_in_the_foreground_only(tty: int, monkeypatch: pytest.MonkeyPatch) -> None:
    foreground = False
    monkeypatch.setattr(sources, "in_foreground", lambda fd: foreground)
    source = Source(tty, print)
    assert (source.ready(1.0), source.ready(1.1)) == (False, False)
    assert 1.1 < source.deadline < 2.0
    foreground = True
    assert (source.ready(1.1), source.ready(source.deadline)) == (False, True)
    source.close()


@pytest.mark.parametrize("output", ["pipe", "socket", "file"])
def test_keys_are_left_to_the_reader_of_the_output(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pager sets its modes at any time, also between `ready` and `read`."""
    monkeypatch.setattr(sources, "in_foreground", lambda fd: True)
    far, near = KINDS[output](tmp_path)
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    source = Source(slave, print, outputs=[near])
    assert source.ready(1.0)
    setcbreak(slave)
    os.write(master, b"k\n")
    if output != "file":
        assert (source.read(10), source.ready(1.0), source.ready(1.0)) == (None, False, False)
        termios.tcsetattr(slave, termios.TCSANOW, before)
        assert source.ready(source.deadline)
    assert source.read(10) == b"k\n"
    source.close()
    for fd in (far, near, master, slave):
        os.close(fd)


def test_a_terminal_that_is_gone_is_the_end() -> None:
    master, slave = os.openpty()
    source = Source(slave, print)
    os.close(master)
    assert (source.read(10), source.over) == (b"", True)
    source.close()
    os.close(slave)
