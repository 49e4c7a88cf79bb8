"""A guard that only records."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from medusa.guard import Guard


class RecordingGuard(Guard):
    """Keeps the lines that a guard's process would be sent."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        super().__init__(-1, writer)
        os.set_blocking(self._reader, False)

    def lines(self) -> list[str]:
        try:
            return os.read(self._reader, 65536).decode().splitlines()
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._reader)
        os.close(self.fd)


@pytest.fixture
def guard() -> Iterator[RecordingGuard]:
    guard = RecordingGuard()
    yield guard
    guard.close()
