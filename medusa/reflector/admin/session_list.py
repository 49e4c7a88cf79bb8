"""Sessions as an administrator sees and ends them: those that live here, and those of whoever shares the directory."""

from __future__ import annotations

import time
from typing import Any, Protocol

from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.driver import SessionDriver
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input, stage

Entry = dict[str, Any]
"""id, login (None: nobody's), state, owner, created (seconds since 1970), age_s, idle_s, client and agent (addresses,
missing before they came), client_bytes, agent_bytes, client_messages, agent_messages (sent by each). Of a session whose
owner did not answer: id, login, owner and error."""


class Others(Protocol):
    """The other workers of this reflector, or other reflectors."""

    def entries(self) -> list[Entry]:
        """What lives in them. Raises Refusal: that cannot be found out."""

    def kill(self, name: SessionName) -> bool:
        """End a session there; False: nobody has it. Raises Refusal: that cannot be found out, or done."""


class Nobody:
    """There are no others."""

    def entries(self) -> list[Entry]:
        """None."""
        return []

    def kill(self, name: SessionName) -> bool:
        """Nobody has it."""
        return False


class Listing:
    """Of all that this reflector knows of.

    Args:
        owner: the address at which others reach this reflector.
        workers: the other workers of this reflector.
        others: the other reflectors that share the directory.
    """

    def __init__(
        self, registry: Registry, owner: str, workers: Others | None = None, others: Others | None = None
    ) -> None:
        self._registry = registry
        self._owner = owner
        self._workers = workers or Nobody()
        self._others = others or Nobody()

    def entries(self) -> list[Entry]:
        """Everywhere; oldest first. Raises what Others does."""
        return _oldest_first([*self.here(), *self._others.entries()])

    def here(self) -> list[Entry]:
        """In this reflector, oldest first: what another one is to be told."""
        return _oldest_first([*self.local(), *self._workers.entries()])

    def local(self) -> list[Entry]:
        """In this process."""
        return [describe(session, self._owner) for session in self._registry.sessions()]

    def find(self, name: SessionName) -> Entry | None:
        """One of them. Others are asked where it is not here; raises what they do."""
        return _named(name, self.here()) or _named(name, self._others.entries())

    def kill(self, name: SessionName) -> bool:
        """End a session, wherever it lives; returns once it has been told. False: there is none.

        Raises what Others does.
        """
        return self.kill_here(name) or self._others.kill(name)

    def kill_here(self, name: SessionName) -> bool:
        """As `kill`, in this reflector."""
        return self.kill_local(name) or self._workers.kill(name)

    def kill_local(self, name: SessionName) -> bool:
        """As `kill`, in this process."""
        for session in self._registry.sessions():
            if session.name == name:
                session.tell(Input.KILLED)
                return True
        return False


def _oldest_first(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.get("created", 0.0))


def _named(name: SessionName, entries: list[Entry]) -> Entry | None:
    return next((e for e in entries if (e["id"], e["login"] or "") == name), None)


def describe(session: SessionDriver, owner: str) -> Entry:
    """A session that lives here."""
    now = time.time()
    return {
        "id": session.name.session_id,
        "login": session.name.login or None,
        "state": stage(session.machine.state),
        "owner": owner,
        "created": round(session.usage.created, 3),
        "age_s": round(max(0.0, now - session.usage.created), 3),
        "idle_s": round(max(0.0, time.monotonic() - session.active), 3),
        **session.addresses,
        **session.counts(),
    }
