"""Sends the requests of one process to the directory, the store that all reflectors share."""

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
    """Sends the requests of one process to the directory, and knows whether the directory answers.

    Attributes:
        directory: the directory. Pass its methods to `ask`.
        failed: an event that is set when a request gets no answer. `is_answering` clears it when the directory answers
            again.
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
        """True after a request got no answer, until `is_answering` finds that the directory answers again."""
        return self.failed.is_set()

    def ask(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Calls `function`, which asks the directory. Returns what it returns, and raises what it raises.

        Blocks until the directory answers. If it does not answer, sets `failed`.
        """
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
        """Calls `function`, which asks the directory. Returns nothing, and ignores a DirectoryError."""
        try:
            self.ask(function, *arguments)
        except DirectoryError:
            pass  # `ask` has logged it; a broken entry is reported to the peer that asks for its name

    def call_later(self, function: Callable[..., object], *arguments: object) -> None:
        """Calls `function` without blocking: in a new greenlet if the directory is asked over a network, else at once.

        `finish` waits for the new greenlet.
        """
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
        """Asks the directory to write something. Returns True if it does. Sets or clears `failed`.

        After this has cleared `failed`, the caller has to do what was left undone; see `Renewal.run_forever`.
        """
        before = self.away
        if not self.can_write():
            return False
        self.failed.clear()
        if before:
            log.info("directory is back")
        return True

    def can_write(self) -> bool:
        """Asks the directory to write something. Returns True if it does, and sets `failed` otherwise.

        A read is not enough, because a full store can still be read.
        """
        try:
            self.directory.spend("probe " + secrets.token_hex(16), 0.001)
        except DirectoryError as error:
            self._note_failure(error)
            return False
        return True

    def finish(self) -> None:
        """Waits until the directory has answered all requests of this process. All released names are then free.

        Waits at most `claim_release_timeout` seconds.
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


def owe(owed: dict[K, V], key: K, value: V, limit: int = MAX_OWED) -> None:
    """Adds an entry to `owed`, what is to be freed later. If there are more than `limit`, drops the oldest entry."""
    owed[key] = value
    while len(owed) > limit:
        del owed[next(iter(owed))]
