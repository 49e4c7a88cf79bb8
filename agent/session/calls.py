"""Dials once more for each client that joins the session."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Protocol

from agent.process.context import Context
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused

MAX_LEGS = 64
"""The limit of links of one agent. The reflector has a lower one, which its administrator may raise."""


class Attempt(Protocol):
    """One attempt to dial, which goes on step by step."""

    @property
    def fd(self) -> int:
        """The descriptor to poll; -1 for none."""

    @property
    def events(self) -> int:
        """The events to poll for."""

    @property
    def deadline(self) -> float:
        """When to call `step` even if poll reports no event, in monotonic seconds."""

    def step(self) -> Optional[Transport]:
        """Goes on. Returns the link when it is there; None before. Raises ConnectRefused."""

    def abort(self) -> None:
        """Gives up."""


Dialer = Callable[[str], Attempt]
"""A function that begins to dial for a leg, whose id is the argument. It never blocks."""


class Calls:
    """The legs for which the agent dials now.

    Args:
        dialer: None if this agent cannot dial once more.
    """

    def __init__(self, dialer: Optional[Dialer], context: Context) -> None:
        self._dialer, self._log = dialer, context.log
        self._attempts: Dict[str, Attempt] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def begin(self, leg: str, legs: int) -> None:
        """Begins to dial for `leg`. `legs`: the number of links that the agent has already."""
        if self._dialer is None or leg in self._attempts:
            return
        if len(self) + legs >= MAX_LEGS:
            self._log("one more client wants to join: there are %d already" % legs)
            return
        self._attempts[leg] = self._dialer(leg)

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        return {attempt.fd: attempt.events for attempt in self._attempts.values() if attempt.fd >= 0}

    def deadlines(self) -> List[float]:
        """Returns the times at which to call `step` even if poll reports no event."""
        return [attempt.deadline for attempt in self._attempts.values()]

    def step(self) -> List[Transport]:
        """Goes on with all attempts. Returns the links that are there now."""
        found = []
        for leg, attempt in list(self._attempts.items()):
            try:
                transport = attempt.step()
            except ConnectRefused as refused:
                self._log("one more client wants to join, but: %s" % refused)
                del self._attempts[leg]
                continue
            if transport is not None:
                del self._attempts[leg]
                found.append(transport)
        return found

    def abort(self) -> None:
        """Gives up all attempts."""
        for attempt in self._attempts.values():
            attempt.abort()
        self._attempts.clear()
