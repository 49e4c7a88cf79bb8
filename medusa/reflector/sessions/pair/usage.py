"""Logs the usage of a session and of its legs: one line when each starts, and one record when it has ended.

A leg is a pair of client and agent: the pair that opened the session, or that of a client which has joined it.
"""

from __future__ import annotations

import time
from typing import Any

import structlog

from medusa.protocol.http.about import NOTHING, About
from medusa.protocol.printable import printable
from medusa.reflector.session_name import SessionName
from medusa.session import Outcome, Side

log = structlog.get_logger(component="usage")


class Usage:
    """The usage of one leg: its times, and the reason why it ended.

    Args:
        opens: True if the usage of the whole session is noted here as well.

    Attributes:
        leg: the number of the leg in its session. The pair that opened the session is leg 1. 0 if this is the usage of
            a session that its agent has opened, and not that of a leg.
        created: the time at which the leg started, in seconds since the epoch.
        about: what its client and its agent say: the client the name of the session, the agent all else.
        reason: why it ended; "" if it has not ended, or nobody has told a reason.
    """

    __slots__ = ("_begun", "_linked", "_name", "_opens", "about", "created", "leg", "reason")

    def __init__(self, name: SessionName, leg: int = 1, opens: bool = True) -> None:
        self.leg = leg
        self._opens = opens
        self.about = NOTHING
        self._name = name
        self.created = time.time()
        self._begun = time.monotonic()
        self._linked: float | None = None
        self.reason = ""

    @property
    def named(self) -> dict[str, Any]:
        """The names of the session and of the leg, for a line in the log."""
        return {**self._session, **({} if self._opens else {"leg": self.leg})}

    @property
    def _session(self) -> dict[str, Any]:
        session_id, login = self._name
        return {"session": session_id, **({"login": login} if login else {})}

    def started(self, side: Side, address: str) -> None:
        """Logs that the session, or a further leg of it, has started. `side`, `address`: those of the peer."""
        log.info("session started" if self._opens else "leg started", **self.named, **{side.value: address})

    def describe(self, side: Side, about: About) -> None:
        """Notes what the peer at `side` says about itself. Ignores what only the other side can know.

        The first name that a client gives the session stays.
        """
        if side is Side.CLIENT:
            self.about = self.about._replace(name=self.about.name or about.name)
        elif about is not NOTHING:
            self.about = about._replace(name=self.about.name)

    def linked(self) -> None:
        """Notes the time at which the agent was linked, which ends the wait. Only the first time is kept."""
        self._linked = self._linked or time.monotonic()

    @property
    def was_linked(self) -> bool:
        """True if the agent was linked."""
        return self._linked is not None

    @property
    def waited(self) -> float:
        """The seconds from the leg's start to the link-up. If no agent was linked yet: from the start until now."""
        return (self._linked or time.monotonic()) - self._begun

    def because(self, side: Side, why: str) -> None:
        """Notes the reason why the leg ends, if a side caused it. Only the first reason is kept."""
        self.reason = self.reason or printable("%s: %s" % (side.value, why))

    def ended_by(self, why: str) -> None:
        """Notes the reason why the reflector ends the leg. Only the first reason is kept."""
        self.reason = self.reason or why

    def leg_ended(self, outcome: Outcome, addresses: dict[str, str], counts: dict[str, int]) -> None:
        """Logs the usage record of this leg, which is over. `counts`: see Counted.counts."""
        log.info("leg ended", **{**self._session, "leg": self.leg, **self._record(outcome), **addresses, **counts})

    def session_ended(
        self, outcome: Outcome, reason: str, legs: int, addresses: dict[str, str], counts: dict[str, int]
    ) -> None:
        """Logs the usage record of the session, all of whose legs are over. Call this for the usage that opened it.

        Args:
            reason: why the session ended.
            legs: how many legs it has had.
            addresses: those of the first leg's client and agent.
            counts: those of all legs; see Counted.counts.
        """
        record = {**self._record(outcome), "reason": reason, "legs": legs}
        about = {"session_name": self.about.name, "host": self.about.host, "job": self.about.job}
        about = {key: said for key, said in about.items() if said is not None}
        log.info("session ended", **self._session, **about, **record, **addresses, **counts)

    def _record(self, outcome: Outcome) -> dict[str, Any]:
        return {
            "outcome": outcome.value,
            "reason": self.reason,
            "waited_s": round(self.waited, 3),
            "linked_s": round(time.monotonic() - self._linked, 3) if self._linked else 0.0,
        }
