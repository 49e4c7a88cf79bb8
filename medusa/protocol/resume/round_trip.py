"""Keeps the shortest round trip of the last seconds. Longer ones include the time that bytes have waited in queues."""

from __future__ import annotations

from typing import Dict

KEPT = 10
"""Samples of the last KEPT seconds count. For each second, only the least sample is kept."""


class RoundTrip:
    """Keeps the shortest round trip (time from here to the peer and back) of the last KEPT seconds.

    Reads no clock: the caller passes the time, in seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self._least: Dict[int, float] = {}

    def add(self, sample: float, now: float) -> None:
        """Adds a round trip that took `sample` seconds."""
        second = int(now)
        if second not in self._least:
            self._least = {at: least for at, least in self._least.items() if at > second - KEPT}
        self._least[second] = min(sample, self._least.get(second, sample))

    def get(self) -> float:
        """Returns the shortest round trip, in seconds. 0.0 if none was added yet.

        Only round trips of the KEPT seconds before the last one count.
        """
        return min(self._least.values(), default=0.0)
