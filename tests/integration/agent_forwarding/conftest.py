"""Targets for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent_forwarding.targets import Target


@pytest.fixture(params=["tcp", "unix"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path / "target" if request.param == "unix" else None)
    with target.socket:
        yield target


@pytest.fixture
def tcp() -> Iterator[Target]:
    target = Target()
    with target.socket:
        yield target
