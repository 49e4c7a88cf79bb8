"""Says how many claims are checked at a time. Pure: it has no clock, and asks nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator

from medusa.reflector.session_name import SessionName

RATE = 10.0
"""The maximum number of claims that one process checks in a second, as long as that is enough; see `share`."""


def share(count: int, period: float, longest: float) -> int:
    """Returns how many of `count` claims to check in each period, so that every claim is checked again and again.

    That is all of them, if RATE claims a second are enough for this.

    Args:
        count: the number of claims.
        period: seconds from one period to the next.
        longest: a claim is checked once in so many seconds, even if that takes more than RATE claims a second.
    """
    return min(count, math.ceil(period * max(RATE, count / longest)))


class Round:
    """Goes round a changing set of names: each one has its turn before any name has its second one."""

    def __init__(self) -> None:
        self._left: deque[SessionName] = deque()

    def next(self, names: Collection[SessionName], count: int) -> Iterator[SessionName]:
        """Yields the next `count` of `names`, at most each of them once."""
        for _ in range(min(count, len(names))):
            while self._left and self._left[0] not in names:
                self._left.popleft()
            if not self._left:
                self._left.extend(names)
            yield self._left.popleft()
