from __future__ import annotations

import os

import pytest

from agent.command.resolve import CannotStart, Launch
from agent.process.process_tree import ended_line
from agent.process.spawn import spawn
from medusa.guard import Guard
from medusa.protocol.control import Resize


def launch(*argv: str, cwd: str = "/") -> Launch:
    return Launch(argv, cwd, {"PATH": os.environ["PATH"]}, Resize(80, 25))


def test_command_that_cannot_start_in_its_directory_leaves_no_process(guard: Guard) -> None:
    with pytest.raises(CannotStart, match="No such file or directory"):
        spawn(launch("/bin/true", cwd="/no/such/place"), guard)
    started, ended = guard.lines()  # type: ignore[attr-defined]
    assert ended == ended_line(int(started.split()[1]))


def test_program_that_does_not_exist_is_not_even_forked(guard: Guard) -> None:
    with pytest.raises(CannotStart, match="not found or was not executable"):
        spawn(launch("/no/such/program"), guard)
    assert guard.lines() == []  # type: ignore[attr-defined]
