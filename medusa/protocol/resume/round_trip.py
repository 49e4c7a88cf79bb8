"""Keeps the shortest round trip of the last minutes. Longer ones include the time that bytes have waited in queues."""

from __future__ import annotations

from typing import Dict

SLOT = 30.0
"""Seconds. For each SLOT, only the least sample is kept."""

KEPT = 10
"""Samples of the last KEPT slots count: while much is sent, a queue may make all round trips long for minutes."""


class RoundTrip:
    """Keeps the shortest round trip (time from here to the peer and back) of the last KEPT slots.

    Reads no clock: the caller passes the time, in seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all round trips: those of the next link may be longer."""
        self._slots: Dict[int, float] = {}
        self._least = 0.0

    def add(self, sample: float, now: float) -> None:
        """Adds a round trip that took `sample` seconds."""
        slot = int(now / SLOT)
        if slot not in self._slots:
            self._slots = {at: least for at, least in self._slots.items() if at > slot - KEPT}
        elif sample >= self._slots[slot]:
            return
        self._slots[slot] = sample
        self._least = min(self._slots.values())

    def get(self) -> float:
        """Returns the shortest round trip, in seconds. 0.0 if none was added yet.

        Only round trips of the KEPT slots before the last one count.
        """
        return self._least
