"""A clock in the test's hands, in place of the module `time`."""

from __future__ import annotations


class Clock:
    """Attributes:
    now: seconds; sleep() adds to it.
    sleeps: the arguments of all sleep().
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
