"""Terminals of an agent that outlive the clients which show them; the test is both reflector and clients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.terminals.registry import MAX_TERMINALS, MAX_VIEWERS
from agent.terminals.ring import MAX_KEPT
from agent.timeouts import Timeouts
from medusa.protocol.channels.kinds import MAX_NAME
from medusa.protocol.terminal.usual import RESET
from tests.agents import wait_until_session_is_gone
from tests.streamclients import PTY, StreamClient
from tests.streamlegs import Legs
from tests.waiting import wait_until

SMALL = {"columns": 60, "lines": 20, "term": "xterm"}


AGENT_TIMEOUTS = Timeouts(hangup_grace=0.3)


@pytest.fixture
def first(legs: Legs) -> Iterator[StreamClient]:
    with legs.stream() as client:
        yield client


@pytest.fixture
def second(legs: Legs) -> Iterator[StreamClient]:
    with legs.stream() as client:
        yield client


def test_a_terminal_outlives_its_client_and_is_shown_to_the_next_one(first: StreamClient, second: StreamClient) -> None:
    run = first.run("echo begun; while read x; do echo got $x; stty size; done; exit 3", pty=PTY, name="train")
    run.until(b"begun\r\n")
    run.give(b"one\n")
    run.until(b"25 80\r\n")
    run.detach()
    first.leave()
    again = second.attach("train", pty=SMALL)
    opened = again.started().opened
    assert opened is not None
    assert (opened["pid"], opened["dropped"], opened["name"]) == (run.pid, 0, "train")
    assert opened["size"] == {"columns": 60, "lines": 20}
    assert b"begun\r\none\r\ngot one\r\n25 80\r\n" in again.until(b"25 80\r\n")
    again.give(b"two\n")
    again.until(b"20 60\r\n")
    again.give(b"\x04")
    assert again.outcome() == {"status": 3}


def test_a_client_that_leaves_at_once_has_detached(first: StreamClient, second: StreamClient) -> None:
    run = first.run("echo begun; cat", pty=PTY, name="left")
    run.until(b"begun\r\n")
    run.channel.request("detach")
    first.leave()
    again = second.attach("left")
    again.give(b"\x04")
    assert again.outcome() == {"status": 0}


@pytest.mark.parametrize("way", ["close", "goaway"])
def test_a_terminal_ends_with_its_last_client_if_this_one_does_not_detach(
    first: StreamClient, second: StreamClient, way: str
) -> None:
    run = first.run("sleep 1000", pty=PTY)
    pid = run.pid
    run.detach()
    again = second.attach(pty=PTY).started()
    if way == "close":
        again.channel.close()
        second.pump()
    else:
        second.leave()
    wait_until_session_is_gone(pid)
    assert first.attach().refusal().code == "no-terminal"


def test_several_clients_show_one_terminal(first: StreamClient, second: StreamClient) -> None:
    run = first.run("while read x; do echo got $x; stty size; done; exit 3", pty=PTY).started()
    other = second.attach(pty=SMALL)
    for typed, size in ((other, b"20 60"), (run, b"25 80")):
        typed.give(b"key\n")
        for shown in (run, other):
            assert b"got key\r\n" in shown.until(size + b"\r\n")
    other.give(b"\x1b[I\x1b[?64;1c")  # an answer of its emulator: nobody has typed
    run.channel.request("resize", columns=81, lines=26)
    run.give(b"key\n")
    for shown in (run, other):
        shown.until(b"26 81\r\n")
    run.give(b"\x04")
    assert run.outcome() == other.outcome() == {"status": 3}


def test_a_client_that_takes_a_terminal_over_is_the_only_one(first: StreamClient, second: StreamClient) -> None:
    run = first.run("while read x; do stty size; done", pty=PTY).started()
    thief = second.attach(pty=SMALL, steal=True)
    first.until(lambda: run.closed)
    assert run.closed.code == "stolen"
    thief.give(b"x\n")
    thief.until(b"20 60\r\n")
    thief.give(b"\x04")
    assert thief.outcome() == {"status": 0}


def test_a_client_that_only_watches_changes_nothing(first: StreamClient, second: StreamClient) -> None:
    run = first.run("read x; stty size; read x", pty=PTY).started()
    watcher = second.attach(pty=SMALL, read_only=True).started()
    assert watcher.channel.writers == {}
    watcher.channel.request("resize", columns=1, lines=1)
    watcher.channel.request("signal", name="KILL")
    second.pump()
    run.channel.request("resize", columns=81, lines=26)
    run.give(b"x\n")
    watcher.until(b"26 81\r\n")
    run.give(b"x\n")
    assert watcher.outcome() == run.outcome() == {"status": 0}


def test_what_there_is_can_be_asked(first: StreamClient) -> None:
    run = first.run("read x; exit 7", pty=PTY, name="a-name").started()

    def terminals() -> list[dict[str, Any]]:
        asked = first.open("info").started()
        first.until(lambda: asked.closed)
        assert asked.opened is not None
        found: list[dict[str, Any]] = asked.opened["terminals"]
        return found

    assert run.opened is not None
    (found,) = terminals()
    assert first.open("info").started().opened["parked"] == []  # type: ignore[index]
    expected = {"number": run.opened["terminal"], "name": "a-name", "command": "read x; exit 7", "pid": run.pid}
    assert found == {**expected, "columns": 80, "lines": 25, "viewers": 1, "detached": False}
    run.detach()
    assert terminals()[0]["detached"]
    again = first.attach("a-name", pty=PTY)
    again.give(b"\n")
    assert again.outcome() == {"status": 7}
    assert terminals() == []


BULK = 4_000_000


def test_output_that_nobody_sees_is_dropped_and_counted(
    first: StreamClient, second: StreamClient, tmp_path: Path
) -> None:
    command = f"read x; yes | head -c {BULK}; echo; echo end; touch {tmp_path}/done; read x"
    run = first.run(command, pty=PTY).started()
    run.give(b"x\n")
    run.until(b"y\r\n")
    run.detach()
    wait_until((tmp_path / "done").exists, "the output")
    again = second.attach(pty=PTY)
    output = again.until(b"\r\nend\r\n")
    assert again.opened is not None
    again.until(b"\r\n[%d bytes of output were dropped while nobody watched]\r\n" % again.opened["dropped"])
    assert 0.5 * BULK < again.opened["dropped"] < 1.5 * BULK
    assert output.startswith(RESET + b"y\r\ny\r\n")
    assert 0.9 * MAX_KEPT < len(output) < 1.1 * MAX_KEPT
    again.give(b"\n")
    assert again.outcome() == {"status": 0}


def test_output_waits_for_the_client_that_typed_last_and_for_no_other(
    first: StreamClient, second: StreamClient, tmp_path: Path
) -> None:
    command = f"read x; touch {tmp_path}/begun; yes | head -c {BULK}; touch {tmp_path}/done; read x"
    run = first.run(command, pty=PTY).started()
    slow = second.attach(pty=PTY, read_only=True).started()
    slow.reading = run.reading = False
    run.give(b"x\n")
    wait_until((tmp_path / "begun").exists, "the output")
    first.until(lambda: not first.step(0.2))
    assert not (tmp_path / "done").exists()
    run.go_on()
    first.until((tmp_path / "done").exists)
    slow.go_on()
    assert re.search(rb"\[([0-9]+) bytes of output were left out\]", slow.until(b"left out]"))
    run.give(b"\n")
    assert run.outcome() == slow.outcome() == {"status": 0}


def test_how_a_command_ended_that_nobody_saw_is_told_to_the_next_client(
    first: StreamClient, second: StreamClient
) -> None:
    run = first.run("read x; sleep 0.1; echo last words; exit 5", pty=PTY, name="unseen").started()
    run.give(b"\n")
    run.detach()
    wait_until_session_is_gone(run.pid)
    again = second.attach("unseen", pty=PTY)
    assert again.outcome() == {"status": 5}
    assert b"last words" in again.output[1]
    assert first.attach("unseen").refusal().code == "no-terminal"


def test_old_queries_are_not_shown_because_the_emulator_would_answer(first: StreamClient, second: StreamClient) -> None:
    run = first.run("printf 'a\\033[cb\\033[6nc\\033]11;?\\007d\\007e\\n'; read x", pty=PTY)
    assert run.until(b"\n") == b"a\x1b[cb\x1b[6nc\x1b]11;?\x07d\x07e\r\n"
    run.detach()
    again = second.attach(pty=PTY)
    assert again.until(b"e\r\n") == RESET + b"abcde\r\n"
    again.give(b"\n")
    assert again.outcome() == {"status": 0}


def test_an_agent_has_16_terminals_and_a_terminal_16_clients(first: StreamClient, second: StreamClient) -> None:
    command = f"read x # {'😀' * MAX_NAME}"
    runs = [first.run(command, pty=PTY, name="😀" * MAX_NAME).started() for _ in range(MAX_TERMINALS)]
    listed = first.open("info").started().opened
    assert listed is not None
    assert len(listed["terminals"]) == MAX_TERMINALS
    assert first.run("read x", pty=PTY).refusal().code == "limit"
    watchers = [second.attach(read_only=True).started() for _ in range(MAX_VIEWERS - 1)]
    assert second.attach(read_only=True).refusal().code == "limit"
    for run in runs:
        run.give(b"\n")
    assert [run.outcome() for run in runs + watchers] == [{"status": 0}] * (len(runs) + len(watchers))
