"""Stages for terminal sessions, on a link alone and on a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.unit.client.session.stages import Stage


@pytest.fixture(params=[False, True], ids=["part 2", "stream"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(streams=request.param)
    yield stage
    stage.close()


@pytest.fixture
def at_terminal(stage: Stage) -> Stage:
    """A session whose user types at a terminal."""
    os.close(stage.stdin)
    os.close(stage.keyboard)
    stage.keyboard, stage.stdin = os.openpty()
    return stage
