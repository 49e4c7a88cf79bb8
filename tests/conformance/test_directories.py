from __future__ import annotations

from collections.abc import Callable

import pytest

from medusa.directory.memory import MemoryDirectory
from tests.conformance.check_directory import CHECKS, Store


class Clock:
    """Seconds that pass when a check says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def memory() -> Store:
    clock = Clock()
    directory = MemoryDirectory(clock)
    return Store(directory, directory, clock.advance)


@pytest.mark.parametrize("store", [memory])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_conformance(check: Callable[[Store], None], store: Callable[[], Store]) -> None:
    check(store())
