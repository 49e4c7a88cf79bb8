"""Shows the session's output on the user's terminal, which may take it more slowly than the agent sends it."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping

from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.terminal.console import Console
from medusa.client.terminal.poll_set import PollSet

LOW_WATER = 8 * 1024
"""If more bytes than this wait for the user's terminal, they are written before more output is received."""

WRITE_TIMEOUT = 0.01
"""Seconds. After writing for so long, the session turns to the agent's side, even if more than LOW_WATER bytes wait."""

MOST_WATER = 1024 * 1024
"""The most bytes that may wait for a terminal: the fewer rounds of the loop, the cheaper is its output.

What waits is still shown after Control-C. So at most twice as many bytes may wait as the last write has taken within
WRITE_TIMEOUT. If it has taken all but LOW_WATER, the number does not shrink.
"""


class Screen:
    """Holds the output that the user's terminal has not taken yet, and writes it.

    Args:
        console: the user's terminal, standard output and messages.
        interrupts: a function that returns what the user may do meanwhile: descriptor -> events, as flags of
            select.poll. If one of them happens, `write` stops.
        clock: a function that returns monotonic seconds.
    """

    def __init__(
        self, console: Console, interrupts: Callable[[], Mapping[int, int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stdout, self._messages = console.stdout, console.messages
        self._interrupts, self._clock = interrupts, clock
        self._poll = PollSet()
        self._water = 0

    def room(self, high_water: int) -> int:
        """Returns how many more bytes of output to take now; 0 or less for none.

        `high_water`: how many bytes may wait, however slow the terminal is.
        """
        return max(high_water, self._water) - self._stdout.pending

    def show(self, data: bytes) -> None:
        """Adds `data` to what waits for the user's terminal."""
        if data:
            self._stdout.put(data)
            self._messages.shown(data)

    def write(self) -> None:
        """Writes to the user's terminal, in many small writes, until almost nothing waits.

        Stops sooner if the user does something, or after WRITE_TIMEOUT. It writes many times in one round of the
        session's loop, because a terminal accepts only a few KiB at a time.

        Raises:
            SessionEnded: nobody reads standard output any more.
        """
        before = self._stdout.pending
        try:
            if before > LOW_WATER:
                self._stdout.pump(self._again())
            else:
                self._stdout.pump()
        except OSError as error:
            text = f"cannot write to standard output ({error.strerror})"
            raise SessionEnded(Ending.OUTPUT_CLOSED, text) from error
        left = self._stdout.pending
        water = min(2 * (before - left), MOST_WATER)
        self._water = max(self._water, water) if left <= LOW_WATER else water

    def _again(self) -> Callable[[], bool]:
        """Returns a function that waits until the terminal takes more, and returns True if `write` is to go on."""
        fd, over = self._stdout.fileno(), self._clock() + WRITE_TIMEOUT
        alone = {fd}
        self._poll.watch({fd: select.POLLOUT, **self._interrupts()})

        def again() -> bool:
            left = over - self._clock()
            return self._stdout.pending > LOW_WATER and left > 0 and self._poll.ready(left).keys() == alone

        return again
