"""A Slurm of one node for a module, and a user of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.slurm.users import Place
from tests.slurms import Slurm, slurm


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture
def place(cluster: Slurm, tmp_path: Path) -> Iterator[Place]:
    place = Place(cluster, tmp_path)
    yield place
    place.assert_nothing_left()
