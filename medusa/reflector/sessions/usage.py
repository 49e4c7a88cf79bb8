"""The log records of a session: one line when it starts, one record when it has ended."""

from __future__ import annotations

import time
from typing import Any

import structlog

from medusa.protocol.printable import printable
from medusa.reflector.session_name import SessionName
from medusa.session import Outcome, Side

log = structlog.get_logger(component="usage")


class Usage:
    """The times of one session, and the reason of its end."""

    def __init__(self, name: SessionName) -> None:
        self._name = {"session": name.session_id, **({"login": name.login} if name.login else {})}
        self.created = time.time()
        self._begun = time.monotonic()
        self._linked: float | None = None
        self.reason = ""

    def started(self, client: str) -> None:
        """Log that the session exists. `client`: its address."""
        log.info("session started", **self._name, client=client)

    def linked(self) -> None:
        """The agent came; the wait is over."""
        self._linked = time.monotonic()

    @property
    def waited(self) -> float:
        """Seconds from the start until the agent came, or until now."""
        return (self._linked or time.monotonic()) - self._begun

    def because(self, side: Side, why: str) -> None:
        """Note why the session ends, in words about a side. The first reason stays."""
        self.reason = self.reason or printable("%s: %s" % (side.value, why))

    def ended_by(self, why: str) -> None:
        """Note why the reflector ends the session. The first reason stays."""
        self.reason = self.reason or why

    def ended(self, outcome: Outcome, addresses: dict[str, str], counts: dict[str, int]) -> None:
        """Log the record of a session that is over. `counts`: messages and payload bytes, each way."""
        now = time.monotonic()
        record: dict[str, Any] = {
            **self._name,
            "outcome": outcome.value,
            "reason": self.reason,
            "waited_s": round(self.waited, 3),
            "linked_s": round(now - self._linked, 3) if self._linked else 0.0,
        }
        log.info("session ended", **record, **addresses, **counts)
