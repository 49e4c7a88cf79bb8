"""The commands of a test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agent.process.commands import Commands
from agent.timeouts import Timeouts
from medusa.guard import Guard
from tests.unit.agent.process.starting import wait_for_end


@pytest.fixture
def commands(guard: Guard) -> Iterator[Commands]:
    """Ends all commands after the test."""
    commands = Commands(guard, time.monotonic, Timeouts(hangup_grace=0, left_interval=0))
    yield commands
    commands.end_all()
    wait_for_end(commands)
