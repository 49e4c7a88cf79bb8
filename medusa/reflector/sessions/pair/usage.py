"""Logs the usage of a session and of its legs: one line when each starts, and one record when it has ended.

A leg is a pair of client and agent: the pair that opened the session, or the pair of a client that has joined it.
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
    """Records the times of one leg (a pair of client and agent) and the reason why it ended, and logs them.

    Args:
        opens: True for the record of the leg that opened the session: it is the record of the whole session as well.

    Attributes:
        leg: the number of the leg in its session. The pair that opened the session is leg 1. 0 if the agent has opened
            the session before a client came: then this is the record of the session only.
        created: the time at which the leg started, in seconds since the epoch.
        about: what the peers say about themselves. The name of the session is from the client, all else from the agent.
        reason: why the leg ended; "" if it has not ended, or if no reason is known.
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
        """The fields that name the session and the leg in a line of the log."""
        return {**self._session, **({} if self._opens else {"leg": self.leg})}

    @property
    def _session(self) -> dict[str, Any]:
        session_id, login = self._name
        return {"session": session_id, **({"login": login} if login else {})}

    def started(self, side: Side, address: str) -> None:
        """Logs that the session, or a further leg of it, has started.

        `side`, `address`: the side and the address of the peer that started it.
        """
        log.info("session started" if self._opens else "leg started", **self.named, **{side.value: address})

    def describe(self, side: Side, about: About) -> None:
        """Notes the description `about` that the peer at `side` has given of itself.

        Only the session's name is taken from a client, and only the other fields from an agent. The first name that a
        client gives is kept.
        """
        if about is NOTHING:
            return
        if side is Side.CLIENT:
            self.about = self.about._replace(name=self.about.name or about.name)
        else:
            self.about = about._replace(name=self.about.name)

    def linked(self) -> None:
        """Notes that the agent is linked now. The wait of the client ends with this. Only the first call counts."""
        self._linked = self._linked or time.monotonic()

    @property
    def was_linked(self) -> bool:
        """True if `linked` was called."""
        return self._linked is not None

    @property
    def waited(self) -> float:
        """The seconds from the leg's start until its client and agent were linked, or until now if they are not yet."""
        return (self._linked or time.monotonic()) - self._begun

    def because(self, side: Side, why: str) -> None:
        """Notes why the peer at `side` has ended the leg. Does nothing if a reason is noted already."""
        self.reason = self.reason or printable("%s: %s" % (side.value, why))

    def ended_by(self, why: str) -> None:
        """Notes why the reflector ends the leg. Does nothing if a reason is noted already."""
        self.reason = self.reason or why

    def leg_ended(self, outcome: Outcome, addresses: dict[str, str], counts: dict[str, int]) -> None:
        """Logs the record of this leg, which is over.

        Args:
            outcome: how the leg has ended.
            addresses: the addresses of its peers, keyed by "client" and "agent".
            counts: the messages and bytes that have passed; see Sides.counts.
        """
        log.info("leg ended", **{**self._session, "leg": self.leg, **self._record(outcome), **addresses, **counts})

    def session_ended(
        self, outcome: Outcome, reason: str, legs: int, addresses: dict[str, str], counts: dict[str, int]
    ) -> None:
        """Logs the record of the session, which is over. Call this on the Usage with which the session began.

        Args:
            outcome: how the session has ended.
            reason: why the session ended.
            legs: how many legs it has had.
            addresses: the addresses of the first leg's client and agent, keyed by "client" and "agent".
            counts: the messages and bytes of all legs; see Sides.counts.
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
