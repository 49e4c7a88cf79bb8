"""An agent that speaks a stream; the test is both reflector and client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medusa.protocol.control import Call, Start, StreamAnswer, StreamOffer
from medusa.protocol.messages import Binary
from medusa.transports.base import BrokenTransport, ClosedTransport
from tests.agents import Agent, Client, Reflector, session_members, stop, wait_until_session_is_gone
from tests.streamclients import PTY, STREAM_ID, Run, StreamClient
from tests.streams.breaches import CHANNELS, RECORDS, STREAMS
from tests.streams.wire import cut_frames, frame, record
from tests.waiting import wait_until

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


# ---------------------------------------------------------------------- what is run


def pid_of(run: Run) -> int:
    opened = run.started().opened
    assert opened is not None
    return int(opened["pid"])


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"cwd": "/no/such/place"}, "cannot-start", "cannot start in /no/such/place: No such file or directory"),
        ({"cwd": "/etc/passwd"}, "cannot-start", "cannot start in /etc/passwd: Not a directory"),
        ({"pty": PTY, "cwd": "/no/such/place"}, "cannot-start", "cannot start in /no/such/place: No such file"),
        (
            {"env": {"MEDUSA_X": "1"}, "named": ["MEDUSA_X"]},
            "cannot-start",
            "cannot be set, or are too large: MEDUSA_X",
        ),
        ({"command": "x" * 20_000 + ";:", "env": {}}, "", ""),
    ],
)
def test_command_that_cannot_start(
    stream: StreamClient, agent: Agent, fields: dict[str, Any], code: str, words: str
) -> None:
    run = stream.run(**{"command": "true", **fields})
    if code:
        stream.until(lambda: run.refused)
        assert run.refused.code == code
        assert words in run.refused.words
    else:
        assert run.outcome() == {"status": 0}
    finish(stream, agent)


def test_what_a_command_gets(stream: StreamClient, agent: Agent, tmp_path: Path) -> None:
    script = "pwd; echo $A $PATH $0 ${TERM-none} ${PS1-none} $(shopt -q login_shell && echo login) $-"
    runs = [
        stream.run(script, cwd=str(tmp_path), env={"A": "b", "PATH": "/bin:/usr/bin:/x", "HOME": "/"}, named=["PATH"]),
        stream.run(script, cwd=str(tmp_path), login=True),
        stream.run(None, cwd=str(tmp_path), login=False),
        stream.run(None, cwd=str(tmp_path)),
    ]
    for run in runs[2:]:
        run.give(script.encode() + b"\n")
        run.end()
    for run in runs:
        assert run.outcome() == {"status": 0}
        assert run.output[2] == b""
    first, second, third, fourth = (run.output[1].decode().split("\n") for run in runs)
    assert first == [str(tmp_path), "b /bin:/usr/bin:/x /bin/bash dumb none hBc", ""]
    assert third[0] == str(tmp_path)
    assert re.fullmatch("[^ ]+ /bin/bash dumb none hBs", third[1])
    assert " dumb none login hBc" in second[1]
    assert " dumb none login hBs" in fourth[1]
    finish(stream, agent)


def test_terminals_are_limited(stream: StreamClient, agent: Agent) -> None:
    runs = [stream.run("cat", pty=PTY).started() for _ in range(16)]
    one_more = stream.run("cat", pty=PTY)
    stream.until(lambda: one_more.refused)
    assert one_more.refused == ("limit", "this job has 16 terminals already; end one of them first")
    runs[3].channel.close()
    stream.until(lambda: runs[3].closed is not None)
    stream.run("cat", pty=PTY).started()
    stream.run("true").outcome()
    finish(stream, agent)


@pytest.mark.parametrize("kind", ["attach", "tcp", "unix", "listen", "sftp", "info"])
def test_kinds_of_later_versions_are_refused(stream: StreamClient, agent: Agent, kind: str) -> None:
    needed: dict[str, dict[str, Any]] = {"tcp": {"host": "h", "port": 1}, "unix": {"path": "/x"}}
    run = Run(stream, stream.stream.channels.open(kind, **needed.get(kind, {})))
    stream.runs[run.channel.number] = run
    stream.until(lambda: run.refused)
    assert run.refused.code == "unsupported"
    assert f"cannot open channels of the kind {kind}" in run.refused.words
    finish(stream, agent)


# ---------------------------------------------------------------------- input and output


def test_ends_of_input_and_output(stream: StreamClient, agent: Agent) -> None:
    """Each direction ends alone; a reader that is gone is told to the other side."""
    deaf = stream.run("exec <&-; read x; echo deaf >&2; read y <&2")
    deaf.started()
    deaf.give(NOISE[:1000])
    deaf.until(b"deaf\n", 2)
    stream.until(lambda: 0 in deaf.stopped)
    half = stream.run("exec >&-; cat >&2")
    stream.until(lambda: half.channel.readers[1].complete)
    half.give(b"more")
    half.end()
    assert half.outcome() == {"status": 0}
    assert half.output == {1: b"", 2: b"more"}
    flood = stream.run("yes; echo $? >&2")
    flood.until(b"y\n" * 100)
    flood.channel.readers[1].stop()
    flood.until(b"141\n", 2)
    finish(stream, agent)


def test_output_after_the_end_is_read_to_its_end(stream: StreamClient, agent: Agent) -> None:
    """Also behind a reader that stands still; what a background process has open does not delay the end for long."""
    run = stream.run("head -c 300000 /dev/zero; sleep 1000 & exit 4")
    run.reading = False
    pid = pid_of(run)
    other = stream.run("true")
    other.outcome()
    wait_until(lambda: len(run.channel.readers[1]) >= 65536 or stream.step(0.01))
    run.reading = True
    assert run.outcome() == {"status": 4}
    assert run.output[1] == bytes(300_000)
    wait_until_session_is_gone(pid)
    finish(stream, agent)


def test_signals(stream: StreamClient, agent: Agent) -> None:
    caught = stream.run("trap 'echo got; exit 5' INT; echo ready; while :; do sleep 0.02; done")
    killed = stream.run("echo ready; exec sleep 1000", pty=PTY)
    for run, name in ((caught, "INT"), (killed, "SIGTERM")):
        run.until(b"ready")
        run.channel.request("signal", name="NONSENSE")
        run.channel.request("signal", name=name)
    assert caught.outcome() == {"status": 5}
    assert killed.outcome() == {"signal": "SIGTERM"}
    finish(stream, agent)


def test_stopped_reader_delays_no_other_channel(stream: StreamClient, agent: Agent) -> None:
    flood = stream.run("yes")
    flood.until(b"y\n" * 100)
    flood.reading = False
    stuck = stream.run("exec sleep 1000")
    stuck.started()
    while room := stuck.channel.room(0):
        stuck.channel.write(0, bytes(room))
        stream.pump()
    shell = stream.run("cat", pty=PTY)
    for _ in range(20):
        shell.give(b"key\n")
        shell.until(b"key\r\nkey\r\n")
    finish(stream, agent)


# ---------------------------------------------------------------------- the end of a stream


def test_end_of_the_client_ends_its_commands(stream: StreamClient, agent: Agent) -> None:
    runs = [
        stream.run("(trap '' HUP; exec sleep 1000) & exec sleep 1000", pty=PTY),
        stream.run("trap '' HUP; echo; while :; do sleep 0.02; done"),
    ]
    pids = [pid_of(run) for run in runs]
    runs[1].until(b"\n")
    assert stream.leave() == "done"
    for pid in pids:
        wait_until_session_is_gone(pid)
    assert agent.finish()[0] == 0


def test_stop_of_the_agent_is_said(stream: StreamClient, agent: Agent) -> None:
    pid = pid_of(stream.run("exec sleep 1000"))
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


class Legs:
    """Further clients of the agent. The reflector calls the agent over the link of a client that lives."""

    def __init__(self, reflector: Reflector) -> None:
        self.reflector, self.count = reflector, 0

    def call(self, over: StreamClient | Client) -> Client:
        self.count += 1
        leg = f"{self.count:032x}"
        over.send_control(Call(leg))
        client = self.reflector.accept()
        head = self.reflector.heads[-1].decode()
        assert f"medusa-leg: {leg}\r\n" in head.lower() + "\r\n"
        assert head.startswith("GET /attach/a-job/slave HTTP")
        return client

    @contextlib.contextmanager
    def stream(self, over: StreamClient | Client) -> Iterator[StreamClient]:
        client = StreamClient(self.call(over).link)
        try:
            yield client.start()
        finally:
            client.link.abort()


@pytest.fixture
def legs(dialled: Reflector) -> Legs:
    return Legs(dialled)


def check(witness: Run) -> None:
    """The command of another client still works."""
    witness.give(b"echo\n")
    witness.until(b"echo\n")


def test_each_client_has_its_own_commands(stream: StreamClient, agent: Agent, legs: Legs, dialled: Reflector) -> None:
    assert "medusa-features: call" in dialled.heads[0].decode().lower()
    with legs.stream(stream) as second:
        witness = second.run("cat")
        check(witness)
        terminal = legs.call(second)
        shell = terminal.start().pid
        lost = pid_of(stream.run("nohup sleep 1001 > /dev/null 2>&1 & exec sleep 1000"))
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


class RawStream:
    """A stream whose client sends what it likes."""

    def __init__(self, client: Client) -> None:
        self.link = client.link
        client.send_control(Start(stream=StreamOffer(STREAM_ID)))
        assert isinstance(client.control(), StreamAnswer)
        self.sent = 0
        self.received = b""

    def send(self, data: bytes) -> None:
        """Sends frames, in as many messages as they need."""
        for at in range(0, len(data), 60_000):
            self.link.send(Binary(record(1, self.sent, data[at : at + 60_000])))
            self.sent += len(data[at : at + 60_000])

    def receive(self) -> None:
        message = self.link.receive()
        if isinstance(message, Binary):
            data = message.data[9:] if message.data[0] == 2 else message.data
            self.received += data[9:]

    def until(self, kind: int, channel: int) -> tuple[int, int, int, bytes]:
        """The first frame of a type on a channel."""
        while True:
            for found in cut_frames(self.received, partial=True):
                if (found[0], found[2]) == (kind, channel):
                    return found
            self.receive()

    def code(self, kind: int = 11, channel: int = 0) -> str:
        """The code in the first CLOSE, REFUSED or GOAWAY."""
        return str(json.loads(self.until(kind, channel)[3])["code"])


CAT = b'{"kind":"session","command":"cat","pty":null}'
BREACHES = [(code, data) for code, end, data in STREAMS if end == "agent" and len(data) != 2 * 32776 + 9]
"""Without the one that only a command which reads nothing can meet."""


@contextlib.contextmanager
def raw_stream(legs: Legs, over: StreamClient) -> Iterator[RawStream]:
    client = legs.call(over)
    try:
        yield RawStream(client)
    finally:
        client.link.abort()


def test_breach_ends_one_stream_only(stream: StreamClient, agent: Agent, legs: Legs) -> None:
    """Whatever a client sends: its stream ends with a named error, and other clients notice nothing."""
    witness = stream.run("cat")
    for code, message in RECORDS:
        with raw_stream(legs, stream) as bad:
            bad.link.send(Binary(message))
            assert bad.code() == code
            check(witness)
    for code, data in BREACHES:
        with raw_stream(legs, stream) as bad:
            bad.send(frame(1, 0, 1, CAT))
            bad.until(2, 1)
            with contextlib.suppress(BrokenTransport, ClosedTransport):
                bad.send(data)
            assert bad.code() == code, data[:100]
            check(witness)
    log = finish(stream, agent)
    assert "session over: gap: data from offset" in log


def test_breach_ends_one_channel_only(stream: StreamClient, agent: Agent, legs: Legs) -> None:
    with raw_stream(legs, stream) as bad:
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
