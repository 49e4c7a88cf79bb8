"""A directory whose answers are timed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from medusa.directory import Claim, Directory, DirectoryError, Owner
from medusa.directory.base import TTL
from medusa.reflector.metrics import Metrics


class MeasuredDirectory(Directory):
    """`directory`, with what it takes and how often it fails told to `metrics`."""

    def __init__(self, directory: Directory, metrics: Metrics) -> None:
        self._directory = directory
        self._metrics = metrics

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """See Directory."""
        with self._timed("claim"):
            return self._directory.claim(session_id, owner, ttl)

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """See Directory."""
        with self._timed("renew"):
            self._directory.renew(claim, ttl)

    def release(self, claim: Claim) -> None:
        """See Directory."""
        with self._timed("release"):
            self._directory.release(claim)

    def lookup(self, session_id: str) -> Owner | None:
        """See Directory."""
        with self._timed("lookup"):
            return self._directory.lookup(session_id)

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        begun, failed = time.monotonic(), False
        try:
            yield
        except DirectoryError:
            failed = True
            raise
        finally:
            self._metrics.asked_directory(operation, time.monotonic() - begun, failed=failed)
