"""An agent that speaks a stream; the test is both reflector and client."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

from tests.agents import Agent, Reflector
from tests.streamclients import PTY, StreamClient

NOISE = random.Random(1).randbytes(3 << 20)


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


def test_command_on_pipes(stream: StreamClient, agent: Agent) -> None:
    run = stream.run("cat; echo err >&2; exit 3")
    run.give(b"a\0\r\n\x04")
    run.end()
    assert run.outcome() == {"status": 3}
    assert run.output == {1: b"a\0\r\n\x04", 2: b"err\n"}
    log = finish(stream, agent)
    assert "session over: done" in log


def test_command_on_a_terminal(stream: StreamClient, agent: Agent) -> None:
    run = stream.run("stty size; read x; stty size; kill -9 $$", pty={**PTY, "columns": 101, "lines": 42})
    run.until(b"42 101\r\n")
    run.channel.request("resize", columns=99, lines=33)
    run.give(b"x\n")
    run.until(b"33 99\r\n")
    assert run.outcome() == {"signal": "SIGKILL"}
    finish(stream, agent)


def test_bytes_in_and_out(stream: StreamClient, agent: Agent) -> None:
    run = stream.run("cat")
    other = stream.run("sha256sum >&2")
    run.give(NOISE)
    run.end()
    other.give(NOISE)
    other.end()
    assert run.outcome() == other.outcome() == {"status": 0}
    assert run.output[1] == NOISE
    assert other.output[2].split()[0].decode() == hashlib.sha256(NOISE).hexdigest()
    finish(stream, agent)
