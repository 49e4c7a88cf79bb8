"""When the output of a child that has ended is complete. No clock: the time, in seconds, is passed in."""

from __future__ import annotations

from agent.timeouts import Timeouts

MAX_BYTES = 256 * 1024
"""More than any terminal holds: what comes after so much was written by a background process, after the child's end."""


class Drain:
    """Judges the last output of one child.

    A terminal does not report its end if a background process has it open. So a drain is over after a time without
    output, at the latest after `drain_timeout` or MAX_BYTES. No time counts while the link is clogged, as the terminal
    is not read then.

    Args:
        now: the time at which the child's end was seen.
        clogged: whether the link does not take data now.
    """

    def __init__(self, now: float, clogged: bool, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._bytes_left = MAX_BYTES
        self._time_left = timeouts.drain_timeout
        self._quiet_since = self._checked_at = now
        self._clogged = clogged

    @property
    def spent(self) -> bool:
        """Whether no more is to be read."""
        return self._bytes_left <= 0 or self._time_left <= 0

    def received(self, size: int, now: float) -> None:
        """So many bytes were read from the terminal."""
        self._bytes_left -= size
        self._quiet_since = now

    def not_read(self, now: float) -> None:
        """The terminal was not read, because the link took nothing."""
        self._quiet_since = now

    def end_of_file(self) -> None:
        """No process has the terminal open any more."""
        self._bytes_left = 0

    def over(self, now: float, clogged: bool) -> bool:
        """Whether the drain is over. Call once in each round of the loop."""
        if not self._clogged:
            # No round waits for longer than this, so a process that was stopped in between loses no more of its time.
            self._time_left -= min(now - self._checked_at, self._timeouts.quiet_timeout)
        self._checked_at, self._clogged = now, clogged
        return not clogged and (self.spent or now - self._quiet_since >= self._timeouts.quiet_timeout)

    def deadline(self) -> float:
        """When to call `over` next, if nothing else happens before."""
        return min(self._quiet_since + self._timeouts.quiet_timeout, self._checked_at + self._time_left)
