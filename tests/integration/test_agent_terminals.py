"""Terminals of an agent that outlive the clients which show them; the test is both reflector and clients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from agent.timeouts import Timeouts
from tests.agents import Reflector, from_source, job_environ, launched, wait_until_session_is_gone, write_config
from tests.streamclients import PTY, Legs, StreamClient

SMALL = {"columns": 60, "lines": 20, "term": "xterm"}


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Legs]:
    """One agent for all tests of this module."""
    reflector = Reflector()
    config = write_config(tmp_path_factory.mktemp("agent"), reflector.url)
    command = from_source("--config", str(config), timeouts=Timeouts(hangup_grace=0.3))
    with contextlib.closing(reflector), launched(command, job_environ()) as agent:
        keeper = StreamClient(reflector.accept().link).start()
        yield Legs(reflector, keeper)
        assert keeper.leave() == "done"
        assert agent.finish()[0] == 0
        keeper.link.abort()


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
    expected = {"number": run.opened["terminal"], "name": "a-name", "command": "read x; exit 7", "pid": run.pid}
    assert found == {**expected, "columns": 80, "lines": 25, "viewers": 1, "detached": False}
    run.detach()
    assert terminals()[0]["detached"]
    again = first.attach("a-name", pty=PTY)
    again.give(b"\n")
    assert again.outcome() == {"status": 7}
    assert terminals() == []
