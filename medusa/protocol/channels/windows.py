"""How large a window is, and what all windows of a stream use."""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Dict, Optional, Tuple

from medusa.protocol.channels.limits import (
    FIRST_TERMINAL_WINDOW,
    FIRST_WINDOW,
    MAX_CHANNELS,
    MAX_TERMINAL_WINDOW,
    MAX_WINDOW,
    MAX_WINDOWS,
    MIN_TERMINAL_WINDOW,
    MIN_WINDOW,
    TERMINAL_DELAY,
)
from medusa.protocol.resume.budget import Budget

SLOT = 0.01
"""Seconds. What a terminal's reader takes within this time is one entry."""


class Windows:
    """What the windows of all readers of one stream use.

    Attributes:
        budget: the bytes that are granted and not taken; for each reader at least MIN_WINDOW, until its sub has ended.
        due: maps sub and channel to the new limit, which the peer has to be told.
    """

    def __init__(self, round_trip: Callable[[], float], whole: Optional[Budget] = None) -> None:
        self.budget = Budget(MAX_WINDOWS, whole)
        self.round_trip = round_trip
        self.due: Dict[Tuple[int, int], int] = {}
        self._reserved = MIN_WINDOW * MAX_CHANNELS

    def channels(self, change: int) -> None:
        """Notes that `change` channels more are open: for those that are not, a least window each is left free."""
        self._reserved -= MIN_WINDOW * change

    @property
    def spare(self) -> int:
        """The number of bytes that windows may use beyond the least ones; negative if they use too many."""
        return self.budget.free - self._reserved


class Window:
    """The size of the window of a pipe or connection: grows by what its reader takes, as long as bytes are to spare.

    Attributes:
        size: the number of bytes that may be granted and not taken.
    """

    FIRST = FIRST_WINDOW

    def __init__(self, spare: int) -> None:
        self.size = max(MIN_WINDOW, min(self.FIRST, spare))

    def took(self, size: int, spare: int, now: float) -> None:
        """Adapts `size` after the reader took `size` bytes. `spare`: how many more bytes of memory it may use now."""
        if spare > 0:
            self.size = min(MAX_WINDOW, self.size + min(size, spare))
        elif self.size > FIRST_WINDOW:
            self.size = max(FIRST_WINDOW, self.size - size // 2)


class TerminalWindow(Window):
    """The size of the window of a terminal's output: what its reader took in the last TERMINAL_DELAY and a round trip.

    So after ^C the user sees little of what was sent before.
    """

    FIRST = FIRST_TERMINAL_WINDOW

    def __init__(self, spare: int, round_trip: Callable[[], float]) -> None:
        super().__init__(spare)
        self._round_trip = round_trip
        self._taken: Deque[Tuple[float, int]] = deque()
        self._sum = 0

    def took(self, size: int, spare: int, now: float) -> None:
        """Adapts `size` after the reader took `size` bytes. `spare`: how many more bytes of memory it may use now."""
        taken = self._taken
        self._sum += size
        if taken and now - taken[-1][0] < SLOT:
            taken[-1] = (taken[-1][0], taken[-1][1] + size)
        else:
            taken.append((now, size))
        while taken[0][0] < now - TERMINAL_DELAY - self._round_trip():
            self._sum -= taken.popleft()[1]
        self.size = max(MIN_WINDOW, min(max(MIN_TERMINAL_WINDOW, self._sum), MAX_TERMINAL_WINDOW, self.size + spare))
