"""Logs the usage of a session: one line when it starts, and one record when it has ended."""

from __future__ import annotations

import time
from typing import Any

import structlog

from medusa.protocol.printable import printable
from medusa.reflector.session_name import SessionName
from medusa.session import Outcome, Side

log = structlog.get_logger(component="usage")


class Usage:
    """The usage record of one session: its times, and the reason why it ended."""

    def __init__(self, name: SessionName) -> None:
        self._name = {"session": name.session_id, **({"login": name.login} if name.login else {})}
        self.created = time.time()
        self._begun = time.monotonic()
        self._linked: float | None = None
        self.reason = ""

    def started(self, client: str) -> None:
        """Logs that the session has started. `client`: the client's address."""
        log.info("session started", **self._name, client=client)

    def linked(self) -> None:
        """Notes the time at which the agent was linked, which ends the wait."""
        self._linked = time.monotonic()

    @property
    def waited(self) -> float:
        """The seconds from the session's start to the link-up. If no agent was linked yet: from the start until now."""
        return (self._linked or time.monotonic()) - self._begun

    def because(self, side: Side, why: str) -> None:
        """Notes the reason why the session ends, if a side caused it. Only the first reason is kept."""
        self.reason = self.reason or printable("%s: %s" % (side.value, why))

    def ended_by(self, why: str) -> None:
        """Notes the reason why the reflector ends the session. Only the first reason is kept."""
        self.reason = self.reason or why

    def ended(self, outcome: Outcome, addresses: dict[str, str], counts: dict[str, int]) -> None:
        """Logs the usage record of a session that is over. `counts`: see SessionDriver.counts."""
        now = time.monotonic()
        record: dict[str, Any] = {
            **self._name,
            "outcome": outcome.value,
            "reason": self.reason,
            "waited_s": round(self.waited, 3),
            "linked_s": round(now - self._linked, 3) if self._linked else 0.0,
        }
        log.info("session ended", **record, **addresses, **counts)
