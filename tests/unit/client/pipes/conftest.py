"""What the tests of sessions on pipes need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.client.pipes.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    """mlogin, before its session."""
    stage = Stage()
    yield stage
    stage.close()
