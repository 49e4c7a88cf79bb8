"""One attempt to dial the reflector, in steps that never block."""

from __future__ import annotations

import math
from typing import Dict, Mapping, Optional

from medusa.transports.base import Transport
from medusa.transports.steps import Steps, Wait


class Attempt:
    """An attempt to open a link, which a loop carries out beside its other work.

    In each round, the loop polls for `wanted`, until `until` at most, and calls `step`. At first, `until` has passed.
    """

    def __init__(self, steps: Steps[Transport]) -> None:
        self._steps = steps
        self._wait = Wait({}, -math.inf)
        self._begun = False

    @property
    def wanted(self) -> Dict[int, int]:
        """The events to poll for, by descriptor."""
        return self._wait.events

    @property
    def until(self) -> float:
        """The time at which to call `step` even if there is no event."""
        return self._wait.until

    def step(self, events: Mapping[int, int], now: float) -> Optional[Transport]:
        """Goes on if one of its events has come, or if its time has. Returns the link as soon as it is open.

        Args:
            events: the events that have come, by descriptor. There may be other descriptors among them.

        Raises:
            ConnectRefused: the attempt has failed.
        """
        found = {fd: events[fd] for fd in self._wait.events if events.get(fd)}
        if not found and now < self._wait.until:
            return None
        begun, self._begun = self._begun, True
        try:
            self._wait = self._steps.send(found) if begun else next(self._steps)
        except StopIteration as end:
            link: Transport = end.value
            return link
        return None

    def close(self) -> None:
        """Gives the attempt up."""
        self._steps.close()
