"""Lists and ends sessions: those of this process, of other workers and of other reflectors."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

import gevent

from medusa.protocol.http.about import About
from medusa.reflector.admin.lists.cursor import Cursor
from medusa.reflector.admin.lists.others import NoOthers, Others, Workers
from medusa.reflector.admin.lists.pages import (
    Entry,
    Part,
    Query,
    Source,
    key,
    merged,
    oldest_first,
    once,
    only_asks,
)
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.held import Held
from medusa.reflector.sessions.life.session import Session
from medusa.reflector.sessions.registry import Registry
from medusa.session import HELD, Input, Side

CARRIER_STOPS = "a reflector on the way to the job is shutting down"
"""The text for a user whose session ends because a reflector that forwards its agent, or its client, shuts down."""


KNOWN_FOR = 5.0
"""For so many seconds the names of this process's sessions are not sorted again for the next parts of a list."""

_KEY = itemgetter(0)

MAX_SHARE = 500
"""The maximum number of sessions that a process describes at a time, while its other greenlets wait."""


class Page(NamedTuple):
    """A page of a list of sessions.

    Attributes:
        next: where the next page begins; None if this is the last one.
        missing: the reason why the sessions of other reflectors are missing; "" if they are not.
    """

    entries: list[Entry]
    next: Cursor | None = None
    missing: str = ""


class SessionList:
    """Lists and ends sessions: those of this process, of the other workers, and of the other reflectors.

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
        self._names: list[tuple[str, SessionName]] = []
        self._names_until = 0.0

    def page(self, query: Query, cursor: Cursor) -> Page:
        """Returns a page of the list of all reflectors' sessions, oldest first. It has about `query.limit` entries.

        The sessions of each page come after those of the page before in the order of their keys. If the other
        reflectors cannot be asked, the page has only this reflector's sessions.
        """
        silent = dict.fromkeys(cursor.silent, "no answer")
        found, after, row, missing = list[Entry](), cursor.after, cursor.row, ""
        try:
            if after is not None:
                fresh = not after and not silent
                found, after = self._others.part(self.here, query._replace(after=after), silent, fresh)
            if after is None:
                more, row = self._others.rows(query, silent, row)
                found += more
        except Refusal as error:
            missing = str(error)
            if after is not None:
                found, after = self.here(query._replace(after=after))
        over = after is None and not row
        return Page(oldest_first(once(found)), None if over else Cursor(after, row, tuple(silent)), missing)

    def here(self, query: Query) -> Part:
        """Returns the sessions of all workers of this reflector, in the order of their keys."""
        return merged([self.local, *self._workers.sources()], query, _at_once)

    def local(self, query: Query) -> Part:
        """Returns the sessions of this process, in the order of their keys."""
        gevent.sleep(0)  # the caller may ask again and again
        names = self._sorted_names(fresh=not query.after)
        held = {each.name: each for each in self._registry.held.all(query.login)}
        # With a login, all keys that are wanted begin alike.
        start = "" if query.login is None else key(query.login, query.prefix)
        found: list[Entry] = []
        upto = ""
        for at in range(bisect_right(names, max(start[:-1], query.after), key=_KEY), len(names)):
            if len(found) == min(query.limit, MAX_SHARE):
                return Part(found, upto)
            upto, name = names[at]
            if not upto.startswith(start):
                if upto > start:
                    break
            elif name.session_id.startswith(query.prefix):
                each = self._registry.get(name) or held.get(name)
                if each is not None:
                    found.append(self._describe(each))
        self._names = []
        return Part(found)

    def _sorted_names(self, *, fresh: bool) -> list[tuple[str, SessionName]]:
        """Returns the keys and names of all sessions of this process, sorted.

        `fresh`: False if those of up to KNOWN_FOR seconds before will do.
        """
        now = time.monotonic()
        if fresh or not self._names or now > self._names_until:
            names = {each.name for each in self._registry.held.all()}
            names |= {each.name for each in self._registry.sessions()}
            self._names = sorted((key(name.login, name.session_id), name) for name in names)
            self._names_until = now + KNOWN_FOR
        return self._names

    def find(self, name: SessionName) -> Entry | None:
        """Returns the entry of the session `name`, or None. Asks other reflectors if the session is not found here.

        Raises Refusal if the other reflectors cannot be asked.
        """
        # A shorter id comes before all ids that begin with it.
        query = Query(name.login, name.session_id, limit=1)
        here = _named(name, self.here(query).entries)
        if here is not None and not only_asks(here):
            return here
        everywhere = self._others.part(self.here, query, {}, True).entries
        return _named(name, once(everywhere)) or self._others.row(name) or here

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
        session = self._registry.get(name)
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
        session = self._registry.get(name)
        end = time.monotonic() + left
        return session is not None and session.drain_forwarded(end, CARRIER_STOPS, peer)

    def _describe(self, each: Session | Held) -> Entry:
        return describe(each, self._owner) if isinstance(each, Session) else self._describe_held(each)

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


def _at_once(ask: Callable[[Source], Part], sources: Sequence[Source]) -> list[Part]:
    asking = [gevent.spawn(ask, source) for source in sources]
    return [greenlet.get() for greenlet in asking]


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
