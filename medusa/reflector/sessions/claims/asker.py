"""Asks the directory for one process, and knows whether the directory answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import gevent
import gevent.event
import gevent.pool
import structlog

from medusa.directory import BrokenEntry, Directory, DirectoryError
from medusa.reflector.config import Timeouts

K = TypeVar("K")
V = TypeVar("V")

log = structlog.get_logger(component="claims")

CONCURRENCY = 8
"""The maximum number of calls that `Asker.each` makes at the same time."""

MAX_OWED = 4096
"""At most so many session names, and as many marks, are kept to be freed after the directory answers again."""


class Asker:
    """The requests of one process to the directory.

    Attributes:
        directory: the directory. Pass its methods to `ask`.
        failed: set if the directory did not answer the last time.
    """

    def __init__(self, directory: Directory, timeouts: Timeouts) -> None:
        self.directory = directory
        self.failed = gevent.event.Event()
        self._timeouts = timeouts
        self._later = gevent.pool.Group()
        self._asking = 0
        self._answered = gevent.event.Event()  # set by each answer since `_finish` last checked

    @property
    def away(self) -> bool:
        """True if the directory did not answer the last time."""
        return self.failed.is_set()

    def ask(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Calls `function`, which asks the directory. Returns its result, and raises what it raises."""
        self._asking += 1
        try:
            return function(*arguments)
        except BrokenEntry:
            raise  # the directory has answered
        except DirectoryError as error:
            self._note_failure(error)
            raise
        finally:
            self._asking -= 1
            self._answered.set()

    def ask_quietly(self, function: Callable[..., object], *arguments: object) -> None:
        """Does the same as `ask`, but returns nothing, and raises no DirectoryError."""
        try:
            self.ask(function, *arguments)
        except DirectoryError:
            pass  # `ask` has logged it; a broken entry is reported to the peer that asks for its name

    def call_later(self, function: Callable[..., object], *arguments: object) -> None:
        """Calls `function`, and does not block. A directory that is asked over a network is asked in a new greenlet.

        `finish` waits for that greenlet. A directory in memory is asked at once."""
        if self.directory.waits:
            self._later.add(gevent.spawn(function, *arguments))
        else:
            function(*arguments)

    def each(self, function: Callable[..., object], calls: Iterable[tuple[Any, ...]]) -> None:
        """Calls `function` with each tuple of arguments in `calls`. Skips the rest if the directory stops answering.

        At most CONCURRENCY calls run at the same time.
        """
        pool = gevent.pool.Pool(CONCURRENCY)
        for arguments in calls:
            if not self.away:
                pool.spawn(function, *arguments)
        pool.join()

    def is_answering(self) -> bool:
        """Returns True if the directory accepts a write. (To read is not enough: a full store can still be read.)"""
        before = self.away
        try:
            self.directory.spend("probe " + secrets.token_hex(16), 0.001)
        except DirectoryError as error:
            self._note_failure(error)
            return False
        self.failed.clear()
        if before:
            log.info("directory is back")
        return True

    def finish(self) -> None:
        """Waits until the directory has answered all requests of this process, so that all released names are free.

        Waits at most `claim_release_timeout`.
        """
        gevent.with_timeout(self._timeouts.claim_release_timeout, self._finish, timeout_value=None)

    def _finish(self) -> None:
        # An answer may make its caller give a mark back, which asks the directory another question.
        while self._asking or self._later:
            self._later.join()
            if self._asking:
                self._answered.clear()
                self._answered.wait()

    def _note_failure(self, error: DirectoryError) -> None:
        if not self.away:
            self.failed.set()
            log.error("directory unavailable", error=str(error), advice="sessions that live go on, no new ones begin")


def owe(owed: dict[K, V], key: K, value: V) -> None:
    """Adds an entry to `owed`, the names or marks to be freed later. If there are too many, drops the oldest."""
    owed[key] = value
    while len(owed) > MAX_OWED:
        del owed[next(iter(owed))]
