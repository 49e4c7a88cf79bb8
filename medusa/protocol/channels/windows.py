"""Computes the sizes of windows, and counts the memory that all windows of a stream use.

A window is the number of bytes that the peer may send on a sub (one direction of a channel) before this end takes any.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Dict, Optional, Tuple

from medusa.protocol.channels.limits import (
    FIRST_TERMINAL_WINDOW,
    FIRST_WINDOW,
    LONG_RATE,
    MAX_CHANNELS,
    MAX_QUEUED,
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
    """Counts the memory that the windows of all readers of one stream use.

    Attributes:
        budget: counts the bytes that wait to be taken, and those that the peer may still send. Each reader counts for
            MIN_WINDOW or more until its sub (direction of bytes) has ended.
        due: the limits that the peer was not told yet: (sub, channel) -> the new limit.
    """

    def __init__(self, round_trip: Callable[[], float], whole: Optional[Budget] = None) -> None:
        self.budget = Budget(MAX_WINDOWS, whole)
        self.round_trip = round_trip
        self.due: Dict[Tuple[int, int], int] = {}
        self._reserved = MIN_WINDOW * MAX_CHANNELS

    def channels(self, change: int) -> None:
        """Changes the number of open channels by `change`, which is negative if channels have ended.

        MIN_WINDOW bytes are kept free for each channel that may still be opened.
        """
        self._reserved -= MIN_WINDOW * change

    @property
    def spare(self) -> int:
        """The number of bytes by which windows may grow; negative if they use too much memory.

        Does not include the bytes that are kept free for channels that may still be opened.
        """
        return self.budget.free - self._reserved


class Window:
    """Computes the window of a pipe or connection. It grows by what the reader takes, while memory is free.

    Args:
        spare: the number of bytes that are free.
        round_trip: a function that returns the seconds of a round trip.

    Attributes:
        size: the number of bytes that the peer may send before the reader takes any.
        FIRST: the first size.
        MOST: the largest size on a short link.
        LONG: the part of the largest size on a long link to which what arrives in a round trip is added. A window grows
            beyond it only while as much is free for others.
    """

    FIRST, MOST, LONG = FIRST_WINDOW, MAX_WINDOW, MAX_WINDOW // 2

    def __init__(self, spare: int, round_trip: Callable[[], float]) -> None:
        self.size = max(MIN_WINDOW, min(self.FIRST, spare))
        self._round_trip = round_trip

    @property
    def most(self) -> int:
        """The largest size, in bytes. It is larger on a link with a long round trip, which holds more bytes.

        It grows by whole MAX_QUEUED, because a tiny rest of a window would be sent as a message of its own.
        """
        return max(self.MOST, self.LONG + int(LONG_RATE * self._round_trip()) // MAX_QUEUED * MAX_QUEUED)

    def took(self, size: int, spare: int, now: float) -> None:
        """Computes the new size, after the reader took `size` bytes.

        `spare` is the number of bytes by which the window may grow.
        """
        if spare > 0:
            if self.size >= self.LONG:
                spare = max(0, spare - self.LONG)  # so readers that stop leave memory to others
            self.size = min(self.most, self.size + min(size, spare))
        elif self.size > FIRST_WINDOW:
            self.size = max(FIRST_WINDOW, self.size - size // 2)


class TerminalWindow(Window):
    """Computes the window of a terminal's output. It is small, so that little output is still shown after Control-C.

    The size is the number of bytes that the reader took within TERMINAL_DELAY plus the time of two round trips: one for
    the bytes on their way, and one for those that wait in queues. It stays between MIN_TERMINAL_WINDOW and `most` if
    memory is free.
    """

    FIRST, MOST, LONG = FIRST_TERMINAL_WINDOW, MAX_TERMINAL_WINDOW, MAX_TERMINAL_WINDOW

    def __init__(self, spare: int, round_trip: Callable[[], float]) -> None:
        super().__init__(spare, round_trip)
        self._taken: Deque[Tuple[float, int]] = deque()
        self._sum = 0

    def took(self, size: int, spare: int, now: float) -> None:
        """Computes the new size, after the reader took `size` bytes.

        `spare` is the number of bytes by which the window may grow.
        """
        taken = self._taken
        self._sum += size
        if taken and now - taken[-1][0] < SLOT:
            taken[-1] = (taken[-1][0], taken[-1][1] + size)
        else:
            taken.append((now, size))
        while taken[0][0] < now - TERMINAL_DELAY - 2 * self._round_trip():
            self._sum -= taken.popleft()[1]
        self.size = max(MIN_WINDOW, min(max(MIN_TERMINAL_WINDOW, self._sum), self.most, self.size + spare))
