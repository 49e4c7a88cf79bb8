"""Processes that say when they serve, and leave nothing behind."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from bench import processes
from bench.processes import descendants, reserved_ports, runs, serving
from bench.toolchain import Unavailable
from tests.waiting import wait_until

LISTENER = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read(); s.accept()"


def test_a_line_says_where_it_serves() -> None:
    command = ["sh", "-c", "echo warming up; echo listening http://127.0.0.1:1; exec sleep 60"]
    with serving("it", command, None, port=None) as (pid, line):
        assert line == "listening http://127.0.0.1:1\n"
        assert descendants(pid)[0] == pid
    assert descendants(pid) == []


def test_a_reserved_port_is_served_by_who_was_given_it() -> None:
    with reserved_ports(2) as (port, other):
        assert port != other
        with pytest.raises(OSError, match="in use"), socket.socket() as stranger:
            stranger.bind(("127.0.0.1", port))
        with serving("it", [sys.executable, "-c", LISTENER, str(port)], None, port) as (_, line):
            assert line == ""


@pytest.mark.parametrize("port", [None, 1])
def test_what_does_not_start_is_quoted(port: int | None) -> None:
    with (
        pytest.raises(Unavailable, match="no such option"),
        serving("it", ["sh", "-c", "echo no such option >&2"], None, port),
    ):
        pass


def test_children_that_outlive_their_parent_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT", 0.1)
    script = "setsid sleep 60 & echo listening here; exec sleep 60"
    with serving("it", ["sh", "-c", script], None, port=None) as (pid, _):
        wait_until(lambda: len(descendants(pid)) > 1)
        offspring = descendants(pid)
    wait_until(lambda: not any(map(runs, offspring)), "their end")


def test_it_is_pinned() -> None:
    core = min(os.sched_getaffinity(0))
    with serving("it", ["sh", "-c", "echo listening here; exec sleep 60"], core, port=None) as (pid, _):
        assert os.sched_getaffinity(pid) == {core}
