"""Decides when the output of a child that has ended is complete. The caller passes the current time as an argument."""

from __future__ import annotations

import math

from agent.timeouts import Timeouts

MAX_BYTES = 256 * 1024
"""The maximum number of bytes that a drain reads. No terminal holds so many.

So if more bytes come, a background process has written them after the child's end.
"""


class Drain:
    """Decides when the last output of an ended child was read completely, from its terminal or its pipes.

    A terminal or pipe does not report its end while a background process has it open. So the output counts as complete
    after `quiet_timeout` seconds without output. The output of a terminal also counts as complete after `drain_timeout`
    seconds, or after MAX_BYTES. The time while the link is clogged (accepts no data) does not count, because nothing is
    read then.

    An sshd waits for the end of a command's pipes instead, whatever time it takes: see `to_the_end`.

    All times are in seconds.

    Args:
        now: the time at which the child's end was noticed.
        clogged: True if the link accepts no data now.
        pipes: True for pipes, False for a terminal. For pipes, `drain_timeout` and MAX_BYTES do not count.
        to_the_end: True if only the end of file makes the output complete. Then there is no time at which to call
            `over`.
    """

    def __init__(
        self, now: float, clogged: bool, timeouts: Timeouts, *, pipes: bool = False, to_the_end: bool = False
    ) -> None:
        self._timeouts = timeouts
        self._quiet_timeout = math.inf if to_the_end else timeouts.quiet_timeout
        self._bytes_left = math.inf if pipes else MAX_BYTES
        self._time_left = math.inf if pipes else timeouts.drain_timeout
        self._quiet_since = self._checked_at = now
        self._clogged = clogged

    @property
    def spent(self) -> bool:
        """True if no more output is to be read."""
        return self._bytes_left <= 0 or self._time_left <= 0

    def received(self, size: int, now: float) -> None:
        """Notes that `size` bytes of output were read. The quiet time begins anew."""
        self._bytes_left -= size
        self._quiet_since = now

    def not_read(self, now: float) -> None:
        """Notes that no output was read because the link accepts no data. The quiet time begins anew."""
        self._quiet_since = now

    def end_of_file(self) -> None:
        """Notes that no process has the terminal or the pipes open any more, so no more output will come."""
        self._bytes_left = 0

    def over(self, now: float, clogged: bool) -> bool:
        """Returns True if the output is complete. Call this once in each round of the loop.

        Args:
            clogged: True if the link accepts no data now.
        """
        if not self._clogged:
            # No round waits for longer than `quiet_timeout`. So count no more than that, in case this
            # process was stopped meanwhile.
            self._time_left -= min(now - self._checked_at, self._timeouts.quiet_timeout)
        self._checked_at, self._clogged = now, clogged
        return not clogged and (self.spent or now - self._quiet_since >= self._quiet_timeout)

    def deadline(self) -> float:
        """Returns the time at which to call `over` next, if nothing else happens before."""
        return min(self._quiet_since + self._quiet_timeout, self._checked_at + self._time_left)
