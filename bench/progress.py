"""Shows what a long benchmark measures now, and how long it will still take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


class Progress:
    """The progress of a benchmark. On a terminal it rewrites one line, else it prints a line for each measurement.

    Args:
        weight: the expected seconds of all measurements together.
        output: where to print.
        clock: returns monotonic seconds.
    """

    def __init__(self, weight: float, output: TextIO = sys.stderr, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = weight
        self._done = 0.0
        self._output = output
        self._clock = clock
        self._begun = clock()
        self._shown = False

    def begin(self, text: str) -> None:
        """Shows that the measurement `text` begins, with an estimate of the time that is left."""
        left = f"{text}  {self._estimate()} left"
        print(f"\r\033[K{left}" if self._rewrites else f"{left}\n", end="", file=self._output, flush=True)
        self._shown = self._rewrites

    def end(self, weight: float, *, skipped: bool = False) -> None:
        """Counts a measurement of `weight` expected seconds as done.

        A skipped measurement does not count in the estimate of the pace.
        """
        self._left -= weight
        self._done += 0.0 if skipped else weight

    def clear(self) -> None:
        """Clears the line on the terminal. Call this before other output."""
        if self._shown:
            print("\r\033[K", end="", file=self._output, flush=True)
            self._shown = False

    @property
    def _rewrites(self) -> bool:
        return self._output.isatty()

    def _estimate(self) -> str:
        pace = (self._clock() - self._begun) / self._done if self._done else 1.0
        seconds = max(0.0, self._left * pace)
        return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
