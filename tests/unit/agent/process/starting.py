"""What the tests of started commands share."""

from __future__ import annotations

import os
from typing import Any

from agent.command.resolve import Launch
from agent.process.commands import Command, Commands
from medusa.protocol.control import Exit, Resize
from tests.waiting import wait_until


def launch(*argv: str, cwd: str = "/", **env: str) -> Launch:
    return Launch(argv, cwd, {"PATH": os.environ["PATH"], **env}, Resize(80, 25))


def exit_of(commands: Commands, command: Command) -> Exit:
    """Waits for the end of a command."""

    def ended() -> Any:
        commands.reap()
        return command.exit

    exit_: Exit = wait_until(ended)
    return exit_


def wait_for_end(commands: Commands) -> None:
    """Waits for the end of all commands that are being ended."""

    def ended() -> bool:
        commands.step()
        return not commands.ending

    wait_until(ended)
