"""What the user types, on its way to the agent. Pure: bytes and times in, bytes and actions out."""

from __future__ import annotations

import math

from medusa.client.session.escape import Action, EscapeScanner
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts

END_OF_FILE = b"\x04"
"""Control-D: a terminal has no other way to say that its input has ended."""


class UserInput:
    """Takes escapes out of the typed bytes and keeps the others until the link takes them.

    After the end of input it says Control-D again and again, at growing intervals: a shell that just then changes the
    modes of its terminal loses one, and the end of input also holds for the next program that reads.

    Args:
        character: the escape character, None for none.

    Attributes:
        ended: nothing more can be read.
    """

    def __init__(self, character: bytes | None, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self._scanner = EscapeScanner(character)
        self._waiting = bytearray()
        self._last = b"\n"
        self._repeat_at = math.inf
        self._interval = timeouts.end_of_input_interval
        self._longest_interval = timeouts.end_of_input_longest_interval
        self.ended = False

    def __len__(self) -> int:
        """Bytes that wait for the link."""
        return len(self._waiting)

    @property
    def deadline(self) -> float:
        """When `repeat_end` must be called; infinite while bytes wait, as another Control-D would only wait too."""
        return math.inf if self._waiting else self._repeat_at

    def feed(self, data: bytes) -> list[Action]:
        """Adds typed bytes. Returns the actions that their escapes ask for."""
        actions = []
        for event in self._scanner.feed(data):
            if isinstance(event, bytes):
                self._append(event)
            else:
                actions.append(event)
        return actions

    def end(self, now: float) -> None:
        """The input has ended: says so to the program that reads. An unfinished last line needs one Control-D more.

        Args:
            now: seconds, by the clock of `deadline`.
        """
        self.ended = True
        self._append(self._scanner.finish())
        if self._last != b"\n":
            self._append(END_OF_FILE)  # which only hands the unfinished line to a program that reads lines
        self._append_end(now)

    def repeat_end(self, now: float) -> None:
        """Says Control-D again, if that is due."""
        if now >= self.deadline:
            self._append_end(now)

    def take(self, size: int) -> bytes:
        """At most `size` bytes, in the order in which they were typed."""
        data = bytes(self._waiting[:size])
        del self._waiting[:size]
        return data

    def _append_end(self, now: float) -> None:
        self._append(END_OF_FILE)
        self._repeat_at = now + self._interval
        self._interval = min(2 * self._interval, self._longest_interval)

    def _append(self, data: bytes) -> None:
        self._waiting += data
        self._last = data[-1:] or self._last
