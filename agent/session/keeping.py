"""Tells the reflector what the session is kept for while no client is there. No I/O; the caller passes the time."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple

from medusa.protocol.control import DETACHED, FIRST, HOLD, PARKED, Kept
from medusa.protocol.resume.offer import MAX_KEEP

INTERVAL = 1.0
"""The least number of seconds between two messages to the reflector."""

What = Tuple[Optional[str], Optional[float]]
"""What the session is kept for, one of control.KEPT_FOR, and until when, in monotonic seconds.

The first is None for nothing; the second if it is not known.
"""

NOTHING: What = (None, None)


def what_is_kept(
    hold: Optional[float], detached: bool, parked: Iterable[Optional[float]], first_by: Optional[float]
) -> What:
    """Returns what keeps the session for the longest time.

    Args:
        hold: until when the step that has failed is held; None if there is no such step. The session ends then.
        detached: True if a terminal is kept until the job ends.
        parked: until when each stream without a link, and each outcome that no client was told, is kept.
        first_by: the time at which the first client must have come; None if it has come.
    """
    if hold is not None:
        return HOLD, hold
    if detached:
        return DETACHED, None
    last = max((until for until in parked if until is not None), default=None)
    if last is not None:
        return PARKED, last
    return NOTHING if first_by is None else (FIRST, first_by)


class KeptNews:
    """Decides when to tell the reflector: after each change, but only once in INTERVAL.

    Attributes:
        now_kept: what the session is kept for now.
    """

    def __init__(self) -> None:
        self.now_kept = self._told = NOTHING
        self._not_before = 0.0

    def restart(self) -> None:
        """Takes note that the reflector has been told nothing, because the home link is new."""
        self._told, self._not_before = NOTHING, 0.0

    def deadline(self) -> Optional[float]:
        """Returns when to call `due`; None if there is no news."""
        return None if self.now_kept == self._told else self._not_before

    def due(self, now: float) -> Optional[Kept]:
        """Returns the message to send now; None for none."""
        if self.now_kept == self._told or now < self._not_before:
            return None
        self._told, self._not_before = self.now_kept, now + INTERVAL
        what, until = self._told
        return Kept(what, None if until is None else min(MAX_KEEP, max(0, round(until - now))))
