"""Finds out, for the path /readyz, whether new sessions can begin here.

Sessions can begin if the directory and the other workers answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent


class Readiness:
    """Remembers for `interval` seconds whether new sessions can begin here.

    Load balancers and other peers may ask this at any time. `find_out` is called at most once in `interval` seconds.

    Args:
        find_out: returns why no new session can begin here, or "" if one can. It may block. If it raises an exception,
            this counts as a reason.
        clock: returns monotonic seconds.
    """

    def __init__(
        self, find_out: Callable[[], str], interval: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find_out = find_out
        self._interval = interval
        self._clock = clock
        self._asking: Any = None  # the greenlet that calls `find_out`, until it has ended
        self._answer = ""
        self._due = -1.0

    def reason(self) -> str:
        """Returns why no new session can begin here, or "" if one can. May block while it calls `find_out`."""
        if self._asking is None and self._clock() >= self._due:
            self._asking = gevent.spawn(self._ask)
        if self._asking is not None:
            self._asking.join()
        return self._answer

    def _ask(self) -> None:
        try:
            self._answer = self._find_out()
        except Exception:  # the event loop logs it
            self._answer = "the check has failed; the log says why"
            raise
        finally:
            self._due = self._clock() + self._interval
            self._asking = None
