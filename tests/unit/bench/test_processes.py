"""Processes are awaited until they serve, and nothing of them is left."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from bench.processes import descendants, reserved_ports, runs, serving
from tests.waiting import wait_until

LISTENER = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read(); s.accept()"


def test_only_the_program_that_got_a_reserved_port_can_serve_it() -> None:
    with reserved_ports(2) as (port, other):
        assert port != other
        with pytest.raises(OSError, match="in use"), socket.socket() as stranger:
            stranger.bind(("127.0.0.1", port))
        with serving("it", [sys.executable, "-c", LISTENER, str(port)], None, port) as (_, line):
            assert line == ""


def test_children_that_outlive_their_parent_are_ended() -> None:
    script = "setsid sleep 60 & echo listening here; exec sleep 60"
    with serving("it", ["sh", "-c", script], None, port=None, stop_timeout=0.1) as (pid, _):
        wait_until(lambda: len(descendants(pid)) > 1)
        offspring = descendants(pid)
    wait_until(lambda: not any(map(runs, offspring)), "their end")


def test_a_process_is_pinned_to_its_core() -> None:
    core = min(os.sched_getaffinity(0))
    with serving("it", ["sh", "-c", "echo listening here; exec sleep 60"], core, port=None) as (pid, _):
        assert os.sched_getaffinity(pid) == {core}
