"""Sessions as an administrator sees and ends them: of this process, of other workers and of other reflectors."""

from __future__ import annotations

import time
from typing import Any, Protocol

from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.driver import SessionDriver
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input, stage

Entry = dict[str, Any]
"""One session: id, login (None for the internal API), state, owner, created (seconds since the epoch), age_s, idle_s,
client and agent (their addresses, once they are attached), client_bytes, agent_bytes, client_messages, agent_messages
(sent by each). If its owner did not answer: id, login, owner and error."""


class Others(Protocol):
    """The other workers of this reflector, or other reflectors."""

    def entries(self) -> list[Entry]:
        """Their sessions. Raises Refusal: they cannot be found out."""

    def kill(self, name: SessionName) -> bool:
        """End a session there; False if there is none. Raises Refusal: that cannot be found out, or done."""


class NoOthers:
    """For a reflector without others."""

    def entries(self) -> list[Entry]:
        """No sessions."""
        return []

    def kill(self, name: SessionName) -> bool:
        """Always False."""
        return False


class SessionList:
    """Lists and ends sessions.

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
        self._workers = workers or NoOthers()
        self._others = others or NoOthers()

    def entries(self) -> list[Entry]:
        """All sessions everywhere, oldest first. Raises Refusal, as Others does."""
        return _oldest_first([*self.here(), *self._others.entries()])

    def here(self) -> list[Entry]:
        """The sessions of this reflector, oldest first: the answer to another reflector."""
        return _oldest_first([*self.local(), *self._workers.entries()])

    def local(self) -> list[Entry]:
        """The sessions of this process."""
        return [describe(session, self._owner) for session in self._registry.sessions()]

    def find(self, name: SessionName) -> Entry | None:
        """One session, or None. The others are asked if it is not here. Raises Refusal, as Others does."""
        return _named(name, self.here()) or _named(name, self._others.entries())

    def kill(self, name: SessionName) -> bool:
        """End a session, wherever it lives. Returns when the end has begun; False if there is no such session.

        Raises Refusal, as Others does.
        """
        return self.kill_here(name) or self._others.kill(name)

    def kill_here(self, name: SessionName) -> bool:
        """Like `kill`, in this reflector alone."""
        return self.kill_local(name) or self._workers.kill(name)

    def kill_local(self, name: SessionName) -> bool:
        """Like `kill`, in this process alone."""
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
    """The entry of a session of this process. `owner`: the address of this reflector."""
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
