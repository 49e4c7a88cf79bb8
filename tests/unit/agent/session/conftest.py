"""The surroundings of a session, for one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from medusa.guard import Guard
from tests.unit.agent.session.stage import Stage


@pytest.fixture
def stage(guard: Guard) -> Iterator[Stage]:
    stage = Stage(guard)
    yield stage
    stage.close()
