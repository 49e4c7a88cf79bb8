"""Keeps what the user types until the link takes it, and finds the escapes in it. No I/O; the time is passed in."""

from __future__ import annotations

import math
from collections.abc import Iterator

from medusa.client.session.input.escape import Action, EscapeScanner
from medusa.client.terminal.tty import END_OF_FILE
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts


class UserInput:
    """The queue of typed bytes that are still to be sent to the agent. Escapes are removed from them.

    After the end of the user's input, `end_of_file` is added to the queue again and again, at growing intervals. One is
    not enough, for two reasons. A shell loses it if the shell changes the modes of its terminal at that moment. And
    each further program that reads the job's terminal needs its own.

    Args:
        character: the escape character; None to recognise no escapes.
        end_of_file: the character that ends the input at the job's terminal. It is Control-D, or what the user has set
            at the user's own terminal; b"" if there is none.

    Attributes:
        character: the argument `character`.
        end_of_file: the argument `end_of_file`.
        ended: True if the input has ended.
        waiting: the bytes that wait to be sent. Only read it; `take` removes bytes.
    """

    def __init__(
        self, character: bytes | None, timeouts: Timeouts = DEFAULT_TIMEOUTS, end_of_file: bytes = END_OF_FILE
    ) -> None:
        self.character = character
        self.end_of_file = end_of_file
        self._scanner = EscapeScanner(character)
        self.waiting = bytearray()
        self._last = b"\n"
        self._repeat_at = math.inf
        self._interval = timeouts.end_of_input_interval
        self._longest_interval = timeouts.end_of_input_longest_interval
        self.ended = False

    @property
    def deadline(self) -> float:
        """The time at which to call `repeat_end`. Infinite before the end of input, and while bytes wait to be sent."""
        return math.inf if self.waiting else self._repeat_at

    def feed(self, data: bytes) -> Iterator[Action]:
        """Adds typed bytes to the queue. Yields the actions that the escapes in them ask for.

        When it yields an action, the queue holds what was typed before it. What follows the escape is added when the
        caller asks for the next action. So a caller that stops there, because the user leaves, drops the rest.
        """
        for event in self._scanner.feed(data):
            if isinstance(event, bytes):
                self._append(event)
            else:
                yield event

    def end(self, now: float) -> None:
        """Adds `end_of_file` to the queue. Call this at the end of input.

        After an unfinished line, adds it twice: the first one only completes that line.

        Args:
            now: the time, in seconds of the clock that `deadline` uses.
        """
        self.ended = True
        self._append(self._scanner.finish())
        if self._last != b"\n":
            self._append(self.end_of_file)  # after an unfinished line, the first one only passes on that line
        self._append_end(now)

    def repeat_end(self, now: float) -> None:
        """Adds another `end_of_file` if `deadline` has passed."""
        if now >= self.deadline:
            self._append_end(now)

    def take(self, size: int) -> bytes:
        """Removes up to `size` bytes from the front of the queue and returns them."""
        data = bytes(self.waiting[:size])
        del self.waiting[:size]
        return data

    def _append_end(self, now: float) -> None:
        self._append(self.end_of_file)
        self._repeat_at = now + self._interval
        self._interval = min(2 * self._interval, self._longest_interval)

    def _append(self, data: bytes) -> None:
        self.waiting += data
        self._last = data[-1:] or self._last
