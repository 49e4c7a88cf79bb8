"""The sizes of windows, and the memory that all windows of a stream use.

A window is the number of bytes that the peer may send on a sub (one direction of a channel) before this end takes any.
"""

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
"""Seconds. TerminalWindow notes as one number how many bytes its reader takes within this time."""


class Windows:
    """The memory that the windows of all readers of one stream use.

    Attributes:
        budget: counts the bytes that the peer may send or has sent, and that were not taken. Each reader counts for
            MIN_WINDOW or more until its sub has ended.
        due: (sub, channel) -> the new limit of the peer, for limits that the peer was not told yet.
    """

    def __init__(self, round_trip: Callable[[], float], whole: Optional[Budget] = None) -> None:
        self.budget = Budget(MAX_WINDOWS, whole)
        self.round_trip = round_trip
        self.due: Dict[Tuple[int, int], int] = {}
        self._reserved = MIN_WINDOW * MAX_CHANNELS

    def channels(self, change: int) -> None:
        """Notes that `change` more channels are open; negative if channels have ended.

        For each channel that may still be opened, MIN_WINDOW bytes are kept free.
        """
        self._reserved -= MIN_WINDOW * change

    @property
    def spare(self) -> int:
        """The number of bytes by which windows may grow; negative if they use too much memory.

        The bytes that are kept free for channels still to be opened are not a part of it.
        """
        return self.budget.free - self._reserved


class Window:
    """The size of the window of a pipe or connection. It grows by what its reader takes, as long as there is memory.

    Attributes:
        size: the number of bytes that the peer may send before the reader takes any.
    """

    FIRST = FIRST_WINDOW

    def __init__(self, spare: int) -> None:
        self.size = max(MIN_WINDOW, min(self.FIRST, spare))

    def took(self, size: int, spare: int, now: float) -> None:
        """Adapts the window after the reader took `size` bytes. `spare`: the number of bytes by which it may grow."""
        if spare > 0:
            self.size = min(MAX_WINDOW, self.size + min(size, spare))
        elif self.size > FIRST_WINDOW:
            self.size = max(FIRST_WINDOW, self.size - size // 2)


class TerminalWindow(Window):
    """The size of the window of a terminal's output: small, so that little output is still shown after Control-C.

    It is the number of bytes that the reader took within TERMINAL_DELAY plus the time of one round trip.
    """

    FIRST = FIRST_TERMINAL_WINDOW

    def __init__(self, spare: int, round_trip: Callable[[], float]) -> None:
        super().__init__(spare)
        self._round_trip = round_trip
        self._taken: Deque[Tuple[float, int]] = deque()
        self._sum = 0

    def took(self, size: int, spare: int, now: float) -> None:
        """Adapts the window after the reader took `size` bytes. `spare`: the number of bytes by which it may grow."""
        taken = self._taken
        self._sum += size
        if taken and now - taken[-1][0] < SLOT:
            taken[-1] = (taken[-1][0], taken[-1][1] + size)
        else:
            taken.append((now, size))
        while taken[0][0] < now - TERMINAL_DELAY - self._round_trip():
            self._sum -= taken.popleft()[1]
        self.size = max(MIN_WINDOW, min(max(MIN_TERMINAL_WINDOW, self._sum), MAX_TERMINAL_WINDOW, self.size + spare))
