"""An agent with several clients: how a stream begins and ends, and that none of them harms another."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import struct
import termios
from collections.abc import Iterator

import pytest

from medusa.protocol.control import Start, StreamAnswer
from medusa.protocol.messages import Binary, Close
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.resume.records import MAX_MESSAGE
from medusa.transports.base import BrokenTransport, ClosedTransport
from tests.agents import Agent, Reflector, session_members, stop, wait_until_session_is_gone
from tests.blocking import BlockingTransport
from tests.streamclients import PTY, STREAM_ID, Run, StreamClient
from tests.streamlegs import Legs
from tests.streams.breaches import CHANNELS, RECORDS, STREAMS
from tests.streams.wire import cut_frames, frame
from tests.terminals import memory_of
from tests.waiting import wait_until


@pytest.fixture
def stream(dialled: Reflector, agent: Agent) -> Iterator[StreamClient]:
    client = StreamClient(dialled.accept().link)
    yield client.start()
    client.link.abort()


def finish(stream: StreamClient, agent: Agent) -> str:
    assert stream.leave() == "done"
    status, log = agent.finish()
    assert status == 0, log
    return log


# ---------------------------------------------------------------------- the end of a stream


def test_end_of_the_client_ends_its_commands(stream: StreamClient, agent: Agent) -> None:
    runs = [
        stream.run("(trap '' HUP; exec sleep 1000) & exec sleep 1000", pty=PTY),
        stream.run("trap '' HUP; echo; while :; do sleep 0.02; done"),
    ]
    pids = [run.pid for run in runs]
    runs[1].until(b"\n")
    assert stream.leave() == "done"
    for pid in pids:
        wait_until_session_is_gone(pid)
    assert agent.finish()[0] == 0


def test_stop_of_the_agent_is_said(stream: StreamClient, agent: Agent) -> None:
    pid = stream.run("exec sleep 1000").pid
    stop(agent)
    assert stream.closed() == ""
    assert stream.goaway == ("stopped", "the agent was stopped by SIGTERM")
    assert agent.finish()[0] == 128 + signal.SIGTERM
    assert session_members(pid) == {}


def test_offers(dialled: Reflector, agent: Agent) -> None:
    client = StreamClient(dialled.accept().link)
    client.link.send(Binary(b"too early"))
    client.send_control(Start(stream=StreamOffer(STREAM_ID, resume=True, received=7)))
    gone = client.control()
    assert isinstance(gone, StreamAnswer)
    assert (gone.id, gone.gone, gone.received) == (STREAM_ID, True, 0)
    client.send_control(Start(stream=StreamOffer(STREAM_ID, resume=True)))
    client.link.send(Binary(b"too early"))
    client.start()
    assert client.answer is not None
    assert client.answer.incarnation == gone.incarnation
    assert client.answer.features == ()
    client.send_control(Start(stream=StreamOffer(STREAM_ID)))
    client.send_control(Start())
    assert client.run("echo $$").outcome() == {"status": 0}
    finish(client, agent)
    client.link.abort()


# ---------------------------------------------------------------------- many clients


@pytest.fixture
def legs(dialled: Reflector, stream: StreamClient) -> Legs:
    return Legs(dialled, stream)


def check(witness: Run) -> None:
    """The command of another client still works."""
    witness.give(b"echo\n")
    witness.until(b"echo\n")


def test_each_client_has_its_own_commands(stream: StreamClient, agent: Agent, legs: Legs, dialled: Reflector) -> None:
    assert "medusa-features: call" in dialled.heads[0].decode().lower()
    with legs.stream() as second:
        witness = second.run("cat")
        check(witness)
        terminal = legs.call(second)
        shell = terminal.start().pid
        with legs.stream(terminal) as fourth:  # called over the link of a terminal
            assert fourth.run("exit 3").outcome() == {"status": 3}
        lost = stream.run("nohup sleep 1001 > /dev/null 2>&1 & exec sleep 1000").pid
        stream.link.abort()  # the first client
        wait_until_session_is_gone(lost)
        check(witness)
        assert terminal.ask("echo here") == b"here\r\n"
        terminal.link.close()
        wait_until_session_is_gone(shell)
        check(witness)
        log = finish(second, agent)
    assert "client 2: session over: done" in log
    assert "client 3: session over: closed" in log


def unread(link: BlockingTransport) -> int:
    """The bytes that have arrived and were not read."""
    found: int = struct.unpack("i", fcntl.ioctl(link.fileno(), termios.FIONREAD, bytes(4)))[0]
    return found


YES = b'{"kind":"session","command":"yes","pty":null}'
CAT = b'{"kind":"session","command":"cat","pty":null}'
BREACHES = [(code, data) for code, end, data in STREAMS if end == "agent" and len(data) != 2 * 32776 + 9]
"""Without the one that only a command which reads nothing can meet."""


def test_breach_ends_one_stream_only(stream: StreamClient, agent: Agent, legs: Legs) -> None:
    """Whatever a client sends: its stream ends with a named error, and other clients notice nothing."""
    witness = stream.run("cat")
    for code, message in RECORDS:
        with legs.raw() as bad:
            bad.link.send(Binary(message))
            assert bad.code() == code
            check(witness)
    for code, data in BREACHES:
        with legs.raw() as bad:
            bad.send(frame(1, 0, 1, CAT))
            bad.until(2, 1)
            with contextlib.suppress(BrokenTransport, ClosedTransport):
                bad.send(data)
            assert bad.code() == code, data[:100]
            check(witness)
    for junk in (b"\xff" * 8, struct.pack("!BBQ", 0x82, 0x7F, 1 << 62), b"\x81\x01\xff"):
        client = legs.call()
        client.link._stream.send(junk)
        assert isinstance(client.link.receive(), Close)
        client.link.abort()
        check(witness)
    log = finish(stream, agent)
    assert "session over: gap: data from offset" in log


def test_memory_is_bounded(stream: StreamClient, agent: Agent, legs: Legs) -> None:
    """With clients that take nothing and acknowledge nothing, and commands that take nothing."""
    witness = stream.run("cat")
    check(witness)
    before = memory_of(agent.pid)
    with legs.raw() as deaf, legs.stream() as stuck:
        for number in range(1, 41, 2):
            deaf.send(frame(1, 0, number, YES))
            deaf.send(b"".join(frame(7, sub, number, struct.pack("!Q", 1 << 40)) for sub in (1, 2)))
        runs = [stuck.run("exec sleep 1000").started() for _ in range(40)]
        for run in runs:
            while room := run.channel.room(0):
                run.channel.write(0, bytes(room))
                stuck.pump()
        wait_until(lambda: unread(deaf.link) > 60_000)
        with legs.raw() as long:
            with contextlib.suppress(BrokenTransport, ClosedTransport):
                long.link.send(Binary(bytes(MAX_MESSAGE + 1)))
            assert isinstance(long.link.receive(), Close)
        for _ in range(20):
            check(witness)
        assert memory_of(agent.pid) - before < 8 << 20
    finish(stream, agent)


def test_breach_ends_one_channel_only(stream: StreamClient, agent: Agent, legs: Legs) -> None:
    with legs.raw() as bad:
        first = 1
        for code, end, kind, data in CHANNELS:
            if end != "agent" or code in ("timeout", "limit"):
                continue
            bad.send(frame(1, 0, first, CAT))
            bad.until(2, first)
            channel = first + 2 if kind == 3 else first
            bad.send(b"".join(frame(t, s, c + first - 1, p) for t, s, c, p in cut_frames(data)))
            assert bad.code(kind, channel) == code
            bad.send(frame(10, 0, channel))
            first += 4
        bad.send(frame(1, 0, first, CAT))
        bad.until(2, first)
    check(stream.run("cat"))
    finish(stream, agent)
