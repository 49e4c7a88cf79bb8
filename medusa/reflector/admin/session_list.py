"""Lists and ends sessions: those of this process, of other workers and of other reflectors."""

from __future__ import annotations

import time
from typing import Any, Protocol

from medusa.protocol.http.about import About
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.held import Held
from medusa.reflector.sessions.life.session import Session
from medusa.reflector.sessions.registry import Registry
from medusa.session import HELD, Input, Side

Entry = dict[str, Any]
"""The entry of one session, as a dictionary that fits into JSON.

Its keys: id; login (None for the internal API); state; owner (the address of the session's reflector); created
(seconds since the epoch); age_s and idle_s (seconds); client and agent (their addresses, once they have attached);
client_bytes, agent_bytes, client_messages and agent_messages (how much each has sent); typed_bytes and shown_bytes (how
much of that was terminal input and output); legs (the number of pairs of a client and an agent: one, and one more for
each client that has joined). The addresses are those of the oldest pair; the numbers are sums over all pairs.
If the peers have said it: name (the one that the client has given the session); host, job and until (the agent's
machine and job, and the time at which the job ends, in seconds since the epoch). Reflectors of earlier versions tell
neither these nor legs.
clients is the number of clients that are there. held_until is the time in seconds since the epoch until which the
session is kept without a client, or without its agent; None if that is not known, or if there is no reason to keep it.
held_for is what it is kept for: `agent`, its agent is away and may come back; or what its agent has said, one of
control.KEPT_FOR; or None.
ended is there if a command has ended and no client was told so: the agent's words that say how.
If the state is HELD, and there is no key clients, there is no session yet: its agent sends requests, again and again,
until a client comes. The owner is then the reflector that got these requests. created is the time of the first request,
and idle_s counts from the last one.
If the owner did not answer, the entry has only id, login, owner and error. The owner is None if the directory's entry
for the session cannot be used.
"""

CARRIER_STOPS = "a reflector on the way to the job is shutting down"
"""The text for a user whose session ends because a reflector that forwards its agent, or its client, shuts down."""


class Others(Protocol):
    """The interface to the sessions of the other workers of this reflector, or of the other reflectors."""

    def entries(self, login: str | None = None) -> list[Entry]:
        """Returns an entry for each session of the other workers or reflectors.

        With `login`, returns only the entries for the sessions of this login. Raises Refusal if the sessions cannot be
        listed.
        """

    def kill(self, name: SessionName) -> bool:
        """Ends the session `name` of another worker or reflector. Returns False if none of them has this session.

        Raises Refusal if the session cannot be looked up or ended.
        """


class Workers(Others, Protocol):
    """The interface to the other workers of this reflector and to their sessions."""

    def drain(self, name: SessionName, left: float, peer: str) -> bool:
        """Ends a pair of client and agent of another worker's session in `left` seconds; see SessionList.drain_here."""


class NoOthers:
    """An implementation of `Others` and `Workers` without any sessions.

    It takes the place of the other workers if there are none, and of the other reflectors if there are none.
    """

    def entries(self, login: str | None = None) -> list[Entry]:
        """Returns an empty list."""
        return []

    def kill(self, name: SessionName) -> bool:
        """Returns False: there is no such session."""
        return False

    def drain(self, name: SessionName, left: float, peer: str) -> bool:
        """Returns False: there is no such session."""
        return False


class SessionList:
    """Lists and ends sessions: those of this process, of the other workers, and of the other reflectors.

    The methods that return a list have an argument `login`. It limits the list to the sessions of one login.

    Args:
        registry: the sessions of this process.
        owner: the address of this reflector, which each entry gives as the owner of the session.
        workers: the other workers of this reflector.
        others: the other reflectors that share the directory.
    """

    def __init__(
        self, registry: Registry, owner: str, workers: Workers | None = None, others: Others | None = None
    ) -> None:
        self._registry = registry
        self._owner = owner
        self._workers = workers or NoOthers()
        self._others = others or NoOthers()

    def whole(self, login: str | None = None) -> dict[str, Any]:
        """Returns a dict that fits into JSON. Its key `sessions` has the sessions of all reflectors.

        If the other reflectors cannot be asked, `sessions` has only this reflector's sessions. Then the dict has a
        second key `missing` with the reason.
        """
        try:
            return {"sessions": self.entries(login)}
        except Refusal as error:
            return {"sessions": self.here(login), "missing": str(error)}

    def entries(self, login: str | None = None) -> list[Entry]:
        """Returns the sessions of all reflectors, oldest first. Raises Refusal if another one cannot be asked."""
        return _oldest_first(_once([*self.here(login), *self._others.entries(login)]))

    def here(self, login: str | None = None) -> list[Entry]:
        """Returns the sessions of all workers of this reflector, oldest first."""
        return _oldest_first([*self.local(login), *self._workers.entries(login)])

    def local(self, login: str | None = None) -> list[Entry]:
        """Returns the sessions of this process."""
        sessions = [session for session in self._registry.sessions() if login in (None, session.name.login)]
        names, held = {session.name for session in sessions}, self._registry.held
        waiting = [self._describe_held(each) for each in held.all(login) if each.name not in names]
        return [*(describe(session, self._owner) for session in sessions), *waiting]

    def find(self, name: SessionName) -> Entry | None:
        """Returns the entry of the session `name`, or None. Asks other reflectors if the session is not found here.

        Raises Refusal if the other reflectors cannot be asked.
        """
        here = _named(name, self.here(name.login))
        if here is not None and not _only_asks(here):
            return here
        return _named(name, _once(self._others.entries(name.login))) or here

    def kill(self, name: SessionName) -> bool:
        """Tells a session to end, wherever it lives, and does not wait for its end.

        Returns False if there is no such session. Raises Refusal if another reflector cannot be asked to end it.
        """
        return self.kill_here(name) or self._others.kill(name)

    def kill_here(self, name: SessionName) -> bool:
        """Tells a session to end if it lives in this reflector. Returns False if it does not."""
        return self.kill_local(name) or self._workers.kill(name)

    def kill_local(self, name: SessionName) -> bool:
        """Tells a session to end if it lives in this process. Returns False if it does not."""
        session = self._session(name)
        if session is not None:
            session.tell(Input.KILLED)
        return session is not None

    def drain_here(self, name: SessionName, left: float, peer: str = "") -> bool:
        """Ends a forwarded pair of client and agent in `left` seconds. The user gets notices before; see DrainNotices.

        A pair is forwarded if the client or the agent is connected to another reflector, which forwards the connection
        to this one. Call this if that reflector has told this one that it will stop.

        Returns False, and does nothing, if the session `name` has no such pair in this reflector, or if the pair's
        client cannot show notices. Such a pair ends when the other reflector closes the connection.

        Args:
            peer: the address of the client or the agent that is connected to the other reflector. "" ends all forwarded
                pairs of the session, because an older reflector does not tell the address.
        """
        return self.drain_local(name, left, peer) or self._workers.drain(name, left, peer)

    def drain_local(self, name: SessionName, left: float, peer: str = "") -> bool:
        """Does the same as `drain_here` for a session of this process. Returns False if the session lives elsewhere."""
        session = self._session(name)
        end = time.monotonic() + left
        return session is not None and session.drain_forwarded(end, CARRIER_STOPS, peer)

    def _describe_held(self, held: Held) -> Entry:
        age = self._registry.held.age
        none = {f"{side.value}_{what}": 0 for side in Side for what in ("messages", "bytes")}
        none |= {"typed_bytes": 0, "shown_bytes": 0}
        return {
            "id": held.name.session_id,
            "login": held.name.login or None,
            "state": HELD,
            "owner": self._owner,
            "created": round(time.time() - age(held.since), 3),
            "age_s": round(age(held.since), 3),
            "idle_s": round(age(held.asked), 3),
            "agent": held.agent,
            **_said(held.about._replace(name=None)),
            **none,
        }

    def _session(self, name: SessionName) -> Session | None:
        return next((session for session in self._registry.sessions() if session.name == name), None)


def _once(entries: list[Entry]) -> list[Entry]:
    """Returns `entries` without those about a session that also has a better entry. The kinds of entries, best first:

    1. An entry of the reflector in which the session lives.
    2. An entry about an agent that waits for a client. If several reflectors have such an entry, the best is from the
       reflector that the agent has asked last.
    3. An entry with an error.
    """
    best: dict[tuple[Any, Any], tuple[int, float]] = {}
    for entry in entries:
        key = (entry["id"], entry["login"])
        best[key] = max(best.get(key, (0, 0.0)), _worth(entry))
    return [entry for entry in entries if _worth(entry) == best[entry["id"], entry["login"]]]


def _worth(entry: Entry) -> tuple[int, float]:
    """Returns a sort key. The better of two entries about one session has the greater key; see `_once`."""
    if "error" in entry:
        return 0, 0.0
    return (1, -entry.get("idle_s", 0.0)) if _only_asks(entry) else (2, 0.0)


def _only_asks(entry: Entry) -> bool:
    """Returns True if there is no session yet: `entry` is about an agent that waits for a client."""
    return entry.get("state") == HELD and "clients" not in entry


def _oldest_first(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.get("created", 0.0))


def _named(name: SessionName, entries: list[Entry]) -> Entry | None:
    return next((e for e in entries if (e["id"], e["login"] or "") == name), None)


def _said(about: About) -> Entry:
    return {key: said for key, said in about._asdict().items() if said is not None}


def describe(session: Session, owner: str) -> Entry:
    """Returns the entry for a session of this process, as the lists of sessions show it.

    `owner`: the address of this reflector.
    """
    now = time.time()
    return {
        "id": session.name.session_id,
        "login": session.name.login or None,
        "state": session.stage,
        "owner": owner,
        "created": round(session.usage.created, 3),
        "age_s": round(max(0.0, now - session.usage.created), 3),
        "idle_s": round(max(0.0, time.monotonic() - session.active()), 3),
        "legs": session.legs,
        "clients": session.clients,
        "held_until": round(session.held_until, 3) if session.held_until is not None else None,
        "held_for": session.held_for,
        **({"ended": session.command_end} if session.command_end else {}),
        **_said(session.usage.about),
        **session.addresses,
        **session.counts(),
        **session.terminal_bytes(),
    }
