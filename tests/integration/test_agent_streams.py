"""An agent that speaks a stream; the test is both reflector and client."""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path
from typing import Any

import pytest

from agent.timeouts import Timeouts
from tests.agents import wait_until_session_is_gone
from tests.streamclients import PTY, Run, StreamClient
from tests.waiting import wait_until

NOISE = random.Random(1).randbytes(3 << 20)


AGENT_TIMEOUTS = Timeouts(hangup_grace=0.3)


def test_command_on_pipes(stream: StreamClient) -> None:
    run = stream.run("cat; echo err >&2; exit 3")
    run.give(b"a\0\r\n\x04")
    run.end()
    assert run.outcome() == {"status": 3}
    assert run.output == {1: b"a\0\r\n\x04", 2: b"err\n"}


def test_command_on_a_terminal(stream: StreamClient) -> None:
    channel = stream.stream.channels.open("session", command="stty size; read x; stty size; kill -9 $$", pty=PTY)
    run = stream.runs[channel.number] = Run(stream, channel)
    channel.request("resize", columns=101, lines=42)  # in the same message, so that the command has not started
    stream.pump()
    run.until(b"42 101\r\n")
    run.channel.request("resize", columns=99, lines=33)
    run.give(b"x\n")
    run.until(b"33 99\r\n")
    assert run.outcome() == {"signal": "SIGKILL"}


@pytest.mark.parametrize("pty", [None, PTY])
def test_a_signal_that_comes_before_the_command_has_started(stream: StreamClient, pty: Any) -> None:
    channel = stream.stream.channels.open("session", command="exec sleep 1000", pty=pty)
    run = stream.runs[channel.number] = Run(stream, channel)
    for name in ("NONSENSE", *["CONT"] * 10, "KILL"):
        channel.request("signal", name=name)
    stream.pump()
    assert run.outcome() == {"signal": "SIGKILL"}


def test_bytes_in_and_out(stream: StreamClient) -> None:
    run = stream.run("cat")
    other = stream.run("sha256sum >&2")
    run.give(NOISE)
    run.end()
    other.give(NOISE)
    other.end()
    assert run.outcome() == other.outcome() == {"status": 0}
    assert run.output[1] == NOISE
    assert other.output[2].split()[0].decode() == hashlib.sha256(NOISE).hexdigest()


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_floods_in_one_stream_leave_room_to_each_other(stream: StreamClient, count: int) -> None:
    runs = [stream.run("read x; head -c 4000000 /dev/zero").started() for _ in range(count)]
    for run in runs:
        run.give(b"go\n")
    for run in runs:
        assert run.outcome() == {"status": 0}
        assert run.output[1] == bytes(4_000_000)


# ---------------------------------------------------------------------- what is run


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
def test_command_that_cannot_start(stream: StreamClient, fields: dict[str, Any], code: str, words: str) -> None:
    run = stream.run(**{"command": "true", **fields})
    if code:
        refusal = run.refusal()
        assert refusal.code == code
        assert words in refusal.words
    else:
        assert run.outcome() == {"status": 0}


def test_what_a_command_gets(stream: StreamClient, tmp_path: Path) -> None:
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


def test_terminals_are_limited(stream: StreamClient) -> None:
    runs = [stream.run("cat", pty=PTY).started() for _ in range(16)]
    one_more = stream.run("cat", pty=PTY)
    assert one_more.refusal() == ("limit", "this job has 16 terminals already; end one of them first")
    runs[3].channel.close()
    stream.until(lambda: runs[3].closed is not None)
    stream.run("cat", pty=PTY).started()
    stream.run("true").outcome()


# ---------------------------------------------------------------------- input and output


def test_ends_of_input_and_output(stream: StreamClient) -> None:
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


def test_output_after_the_end_is_read_to_its_end(stream: StreamClient) -> None:
    """Also behind a reader that stands still; what a background process has open does not delay the end for long."""
    run = stream.run("head -c 300000 /dev/zero; sleep 1000 & exit 4")
    run.reading = False
    pid = run.pid
    other = stream.run("true")
    other.outcome()
    wait_until(lambda: len(run.channel.readers[1]) >= 65536 or stream.step(0.01))
    run.reading = True
    assert run.outcome() == {"status": 4}
    assert run.output[1] == bytes(300_000)
    wait_until_session_is_gone(pid)


def test_signals(stream: StreamClient) -> None:
    caught = stream.run("trap 'echo got; exit 5' INT; echo ready; while :; do sleep 0.02; done")
    killed = stream.run("echo ready; exec sleep 1000", pty=PTY)
    for run, name in ((caught, "INT"), (killed, "SIGTERM")):
        run.until(b"ready")
        run.channel.request("signal", name="NONSENSE")
        run.channel.request("signal", name=name)
    assert caught.outcome() == {"status": 5}
    assert killed.outcome() == {"signal": "SIGTERM"}


def test_stopped_reader_delays_no_other_channel(stream: StreamClient) -> None:
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
