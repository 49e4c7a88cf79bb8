from __future__ import annotations

import pytest

from agent.command.resolve import NOT_EXECUTABLE, NOT_FOUND, CannotStart
from agent.process.process_tree import ended_line
from agent.process.spawn import spawn
from medusa.guard import Guard
from tests.unit.agent.process.starting import launch


def test_command_that_cannot_start_in_its_directory_leaves_no_process(guard: Guard) -> None:
    with pytest.raises(CannotStart, match="No such file or directory"):
        spawn(launch("/bin/true", cwd="/no/such/place"), guard)
    started, ended = guard.lines()  # type: ignore[attr-defined]
    assert ended == ended_line(int(started.split()[1]))


@pytest.mark.parametrize(("program", "code"), [("/no/such/program", NOT_FOUND), ("/etc/passwd", NOT_EXECUTABLE)])
def test_program_that_does_not_exist_is_not_even_forked(guard: Guard, program: str, code: str) -> None:
    with pytest.raises(CannotStart, match="not found or not executable") as raised:
        spawn(launch(program), guard)
    assert raised.value.code == code
    assert guard.lines() == []  # type: ignore[attr-defined]
