"""What is written of a session: one line when it starts, one record when it has ended."""

from __future__ import annotations

import time
from typing import Any

import structlog

from medusa.protocol.printable import printable
from medusa.reflector.session_name import SessionName
from medusa.session import Outcome, Side

log = structlog.get_logger(component="usage")


class Usage:
    """One session's times and reason; counts are added when it ends."""

    def __init__(self, name: SessionName) -> None:
        self._name = {"session": name.session_id, **({"login": name.login} if name.login else {})}
        self.created = time.time()
        self._begun = time.monotonic()
        self._linked: float | None = None
        self.reason = ""

    def started(self, client: str) -> None:
        """The session exists: its line."""
        log.info("session started", **self._name, client=client)

    def linked(self) -> None:
        """The agent came."""
        self._linked = time.monotonic()

    @property
    def waited(self) -> float:
        """Seconds, so far or until the agent came."""
        return (self._linked or time.monotonic()) - self._begun

    def because(self, side: Side, why: str) -> None:
        """Why it ends, in words; the first reason stays."""
        self.reason = self.reason or printable("%s: %s" % (side.value, why))

    def ended_by(self, why: str) -> None:
        """The reflector ends it, and tells the sides why; as with `because`."""
        self.reason = self.reason or why

    def ended(self, outcome: Outcome, addresses: dict[str, str], counts: dict[str, int]) -> None:
        """The session is over: its record. `counts` are messages and payload bytes, each way."""
        now = time.monotonic()
        record: dict[str, Any] = {
            **self._name,
            "outcome": outcome.value,
            "reason": self.reason,
            "waited_s": round(self.waited, 3),
            "linked_s": round(now - self._linked, 3) if self._linked else 0.0,
        }
        log.info("session ended", **record, **addresses, **counts)
