"""A byte pipe, step by step, between streams that take and give what a test says."""

from __future__ import annotations

import socket
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.reflector.relay.byte_pipe import READ_SIZE, BytePipe, join
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsStream
from tests.links import unix_pair

RESET = ConnectionResetError()


class Script:
    """A stream. `gives`: the results of reads; `takes`: the most that each write takes, 0 for none, then all."""

    def __init__(
        self, gives: list[bytes | OSError] | None = None, takes: list[int | OSError] | None = None, fd: int = -1
    ) -> None:
        self.fd = fd
        self.gives = gives or []
        self.takes = takes or []
        self.got = b""
        self.reads = 0
        self.is_shut = False

    def fileno(self) -> int:
        return self.fd

    def recv_into(self, buffer: memoryview) -> int:
        self.reads += 1
        if not self.gives:
            raise BlockingIOError
        data = self.gives.pop(0)
        if isinstance(data, OSError):
            raise data
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: memoryview) -> int:
        most = self.takes.pop(0) if self.takes else len(data)
        if isinstance(most, OSError):
            raise most
        if most == 0:
            raise BlockingIOError
        self.got += data[:most]
        return min(most, len(data))

    def shutdown(self) -> None:
        self.is_shut = True


class TlsScript(Script, TlsStream):  # type: ignore[misc]
    """Its type alone says TLS."""


def joined(outer: Script, inner: Script, *, drains: bool = False) -> tuple[BytePipe, BytePipe]:
    return join(cast("SocketStream", outer), cast("SocketStream", inner), drains=drains)


def run(pipe: BytePipe, steps: int = 1000) -> None:
    """As an event loop would whose sockets are always ready."""
    buffer = memoryview(bytearray(2 * READ_SIZE))
    for _ in range(steps):
        if pipe.wants_write:
            pipe.write()
        elif pipe.wants_read:
            pipe.read(buffer)


@given(st.lists(st.binary(min_size=1, max_size=50)), st.lists(st.integers(0, 20)))
def test_any_chunking_arrives_whole_and_then_the_end(chunks: list[bytes], takes: list[int]) -> None:
    source, sink = Script([*chunks, b""]), Script(takes=list(takes))
    inward = joined(source, sink)[1]
    run(inward)
    assert (sink.got, sink.is_shut, inward.ended) == (b"".join(chunks), True, True)


def test_nothing_is_read_while_bytes_are_held() -> None:
    source, sink = Script([b"abc", b"def"]), Script(takes=[1, 0, 0, 1])
    inward = joined(source, sink)[1]
    run(inward, 2)
    assert (source.reads, sink.got, inward.wants_read, inward.wants_write) == (1, b"a", False, True)
    run(inward)
    assert sink.got == b"abcdef"


def test_one_direction_ends_and_the_other_goes_on() -> None:
    outer, inner = Script([b"last", b""]), Script()
    outward, inward = joined(outer, inner)
    run(inward)
    assert (inward.ended, outward.ended, inner.got, inner.is_shut) == (True, False, b"last", True)
    inner.gives = [b"answer", b""]
    run(outward)
    assert (outward.ended, outer.got, outer.is_shut) == (True, b"answer", True)


@pytest.mark.parametrize(("drains", "goes_on"), [(False, False), (True, True)])
def test_a_reset_of_the_inner_end(drains: bool, goes_on: bool) -> None:
    outer, inner = Script([b"dropped", b""]), Script([RESET])
    outward, inward = joined(outer, inner, drains=drains)
    run(outward)
    assert (outward.ended, outer.is_shut, inward.wants_read) == (True, True, goes_on)
    run(inward)
    assert (inward.ended, inner.got) == (True, b"")


def test_a_reset_of_the_outer_end_ends_both() -> None:
    pipes = joined(Script([RESET]), Script(), drains=True)
    run(pipes[1])
    assert [pipe.ended for pipe in pipes] == [True, True]


def test_a_sink_that_fails_may_still_have_said_something() -> None:
    outer, inner = Script([b"abc"], [BrokenPipeError()]), Script([b"lost"])
    outward, inward = joined(outer, inner)
    run(outward)
    run(inward)
    assert (outward.ended, inward.ended, inner.got) == (True, False, b"abc")


@pytest.mark.parametrize(("outer_type", "got"), [(Script, b"more"), (TlsScript, b"")])
def test_what_comes_after_the_outer_stream_was_shut(outer_type: type[Script], got: bytes) -> None:
    """TLS decrypts nothing any more then."""
    outer, inner = outer_type([b"more", b""]), Script([b""])
    outward, inward = joined(outer, inner)
    run(outward)
    run(inward)
    assert (inner.got, inner.is_shut) == (got, True)


def test_a_source_that_hung_up_is_stuck_only_while_bytes_are_held() -> None:
    near, far = unix_pair()
    inward = joined(Script([b"abc"], fd=near.fileno()), Script(takes=[0]))[1]
    with near, far:
        run(inward, 1)
        assert not inward.is_stuck
        far.shutdown(socket.SHUT_WR)
        assert inward.is_stuck
        run(inward, 1)
        assert not inward.is_stuck


def test_moves_are_noted_until_they_are_forgotten() -> None:
    inward = joined(Script([b"abc"]), Script(takes=[0]))[1]
    seen = []
    for steps in (1, 0, 1, 0):
        run(inward, steps)
        seen.append((inward.has_read, inward.has_written))
        inward.forget_moves()
    assert seen == [(True, False), (False, False), (False, True), (False, False)]
