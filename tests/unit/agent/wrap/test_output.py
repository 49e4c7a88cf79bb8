from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agent.poller import READ, WRITE, Poller
from agent.wrap.output import Stream, wanted
from agent.wrap.tail import Tail


class Pipes:
    """A step's pipe, the stream, and the pipe that is its sink."""

    def __init__(self) -> None:
        source, self.step = os.pipe()
        self.reader, sink = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.step, False)
        self.tail = Tail()
        self.stream = Stream(source, sink, self.tail)

    def pump(self) -> None:
        """Pass on what can be passed on now."""
        poller = Poller()
        while True:
            poller.watch(wanted([self.stream]))
            events = poller.wait(0)
            if not events:
                return
            self.stream.step(events)

    def read(self) -> bytes:
        try:
            return os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self, *names: str) -> None:
        for name in names:
            os.close(getattr(self, name))
            setattr(self, name, -1)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    pipes = Pipes()
    yield pipes
    pipes.stream.close()
    for fd in {pipes.step, pipes.reader, pipes.stream.sink} - {-1}:
        os.close(fd)


def test_bytes_pass_in_order_and_are_kept(pipes: Pipes) -> None:
    os.write(pipes.step, b"one ")
    pipes.pump()
    os.write(pipes.step, b"two")
    pipes.pump()
    assert pipes.read() == pipes.tail.bytes() == b"one two"


def test_a_full_sink_stops_the_reading(pipes: Pipes) -> None:
    sent = 0
    for _ in range(1000):
        try:
            sent += os.write(pipes.step, bytes(4096))
        except BlockingIOError:
            pipes.pump()
            if pipes.stream.wanted() == {pipes.stream.sink: WRITE}:
                break
    assert pipes.stream.wanted() == {pipes.stream.sink: WRITE}
    assert sent < 400_000
    received = 0
    while data := pipes.read():
        received += len(data)
        pipes.pump()
    assert received == sent


def test_after_the_steps_end_only_what_it_has_written_counts(pipes: Pipes) -> None:
    os.write(pipes.step, b"last words")
    pipes.stream.limit_to_present()
    os.write(pipes.step, b" of another process")
    assert not pipes.stream.passed
    pipes.pump()
    assert pipes.stream.passed
    assert pipes.read() == b"last words"
    assert pipes.stream.has_writer()
    pipes.pump()
    assert pipes.read() == b" of another process"


def test_no_writer_is_left(pipes: Pipes) -> None:
    pipes.close("step")
    assert not pipes.stream.has_writer()
    assert pipes.stream.passed
    assert wanted([pipes.stream]) == {}


def test_a_sink_without_reader_closes_the_steps_pipe(pipes: Pipes) -> None:
    pipes.close("reader")
    os.write(pipes.step, b"x")
    pipes.pump()
    with pytest.raises(BrokenPipeError):
        os.write(pipes.step, b"x")


def test_a_full_disk_loses_bytes_and_goes_on(pipes: Pipes) -> None:
    os.close(pipes.stream.sink)
    pipes.stream.sink = os.open("/dev/full", os.O_WRONLY)
    os.write(pipes.step, b"x")
    pipes.pump()
    assert pipes.stream.wanted() == {pipes.stream.source: READ}
    assert pipes.tail.bytes() == b"x"
