"""Tells the reflector what the session is kept for while no client is there. No I/O; the caller passes the time."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple

from medusa.protocol.control import DETACHED, FIRST, HOLD, PARKED, Kept
from medusa.protocol.resume.offer import MAX_KEEP

INTERVAL = 1.0
"""The least number of seconds between two messages to the reflector."""

What = Tuple[Optional[str], Optional[float], Optional[str]]
"""What the session is kept for, one of control.KEPT_FOR; until when, in monotonic seconds; how a command has ended.

The first is None for nothing, the second if it is not known, the third if no command has ended whose end is to be told.
"""

NOTHING: What = (None, None, None)


def what_is_kept(
    hold: Optional[float],
    detached: bool,
    parked: Iterable[Optional[float]],
    first_by: Optional[float],
    end: Optional[str],
) -> What:
    """Returns what the session is kept for, and until when. If several reasons apply, returns the first of these:

    - The session of a failed step is kept for a limited time.
    - A terminal that users have left is kept.
    - Streams and results of commands are kept for clients that may come back.
    - The session waits for its first client.

    Args:
        hold: the time until which the session of a failed step is kept; None if no step has failed.
        detached: True if a terminal that users have left is kept until the job ends.
        parked: the times until which streams without a link are kept, and results of commands that no client was told.
            The latest of them counts. None: the time is not known.
        first_by: the time at which the first client must have come; None if it has come.
        end: a text that says how a command has ended whose result is kept; None if none is kept.
    """
    if hold is not None:
        return HOLD, hold, None
    if detached:
        return DETACHED, None, None
    last = max((until for until in parked if until is not None), default=None)
    if last is not None:
        return PARKED, last, end
    return NOTHING if first_by is None else (FIRST, first_by, None)


class KeptNews:
    """Decides when to tell the reflector what the session is kept for: after each change, at most once in INTERVAL.

    Attributes:
        now_kept: what the session is kept for now. The caller sets it.
    """

    def __init__(self) -> None:
        self.now_kept = self._told = NOTHING
        self._not_before = 0.0

    def restart(self) -> None:
        """Forgets what the reflector was told. Call it when there is a new home link: everything is then told anew."""
        self._told, self._not_before = NOTHING, 0.0

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `due`; None if the reflector already knows what the session is kept for."""
        return None if self.now_kept == self._told else self._not_before

    def due(self, now: float) -> Optional[Kept]:
        """Returns the message to send now; None for none."""
        if self.now_kept == self._told or now < self._not_before:
            return None
        self._told, self._not_before = self.now_kept, now + INTERVAL
        what, until, end = self._told
        return Kept(what, None if until is None else min(MAX_KEEP, max(0, round(until - now))), end)
