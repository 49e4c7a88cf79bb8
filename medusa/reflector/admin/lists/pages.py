"""Parts of a list of sessions: which sessions to list, and how the lists of several processes become one. No I/O.

All processes list their sessions in the order of their keys, and each only a part at a time. So none of them needs
memory for all sessions of a site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from medusa.session import HELD

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

MAX_PAGE = 10_000
"""The maximum number of sessions in one answer."""


class Query(NamedTuple):
    """Which sessions to list.

    Attributes:
        login: only the sessions of this login; "" for those without one, None for all.
        prefix: only the sessions whose ids begin with this text.
        after: only the sessions whose keys are greater; see `key`.
        limit: about how many sessions to list.
    """

    login: str | None = None
    prefix: str = ""
    after: str = ""
    limit: int = MAX_PAGE

    def wants(self, login: str, session_id: str) -> bool:
        """Returns True if the session with this login and id is among those to list."""
        return (
            self.login in (None, login) and session_id.startswith(self.prefix) and key(login, session_id) > self.after
        )

    def wanted(self, entries: Iterable[Entry]) -> list[Entry]:
        """Returns those of `entries` that are to be listed."""
        return [entry for entry in entries if self.wants(entry["login"] or "", entry["id"])]


class Part(NamedTuple):
    """A part of a list: all sessions of a process that a query wants, up to a key.

    Attributes:
        upto: the key up to which the part is complete; None if there are no sessions after it.
    """

    entries: list[Entry]
    upto: str | None = None


Source = Callable[[Query], Part]
"""A function that returns the sessions of one process or reflector, in the order of their keys.

It returns at least one of them if there are any, and perhaps fewer than the query's limit.
"""

Mapper = Callable[[Callable[[Source], Part], Sequence[Source]], Iterable[Part]]
"""A function like `map`."""


def key(login: str, session_id: str) -> str:
    """Returns the text by which lists of sessions are ordered. No login contains a slash."""
    return f"{login}/{session_id}"


def key_of(entry: Entry) -> str:
    """Returns the key of the session that `entry` describes."""
    return key(entry["login"] or "", entry["id"])


def merged(sources: Sequence[Source], query: Query, each: Mapper = map) -> Part:
    """Returns a part with the sessions of all `sources`: at least half of the limit, if there are so many.

    Each source is asked for its share of the limit. The part ends where the first of them has stopped. If it is too
    small then, those that have stopped there are asked for more.

    Args:
        each: asks several sources, perhaps at the same time.
    """
    found: list[Entry] = []
    after = query.after
    told = [Part([], after) for _ in sources]
    while True:
        stopped = [at for at, part in enumerate(told) if part.upto == after]
        share = -(-(query.limit - len(found)) // max(1, len(stopped)))
        asked = query._replace(after=after, limit=share)
        answers = each(lambda source, asked=asked: source(asked), [sources[at] for at in stopped])  # type: ignore[misc]
        for at, part in zip(stopped, list(answers), strict=True):
            told[at] = part
        upto = min((part.upto for part in told if part.upto is not None), default=None)
        if upto is None:
            return _cut(found + [entry for part in told for entry in part.entries], query.limit)
        for at, (entries, until) in enumerate(told):
            found += [entry for entry in entries if key_of(entry) <= upto]
            told[at] = Part([entry for entry in entries if key_of(entry) > upto], until)
        after = upto
        if 2 * len(found) >= query.limit:
            return _cut(found, query.limit, after)


def _cut(entries: list[Entry], limit: int, upto: str | None = None) -> Part:
    """Returns the first `limit` entries as a part, and those that have the same key as the last of them."""
    if len(entries) <= limit:
        return Part(entries, upto)
    last = sorted(map(key_of, entries))[limit - 1]
    kept = [entry for entry in entries if key_of(entry) <= last]
    return Part(kept, last if len(kept) < len(entries) else upto)


def once(entries: Sequence[Entry]) -> list[Entry]:
    """Returns `entries` without those about a session that also has a better entry. The kinds of entries, best first:

    1. An entry of the reflector in which the session lives.
    2. An entry about an agent that waits for a client. If several reflectors have such an entry, the best is from the
       reflector that the agent has asked last.
    3. An entry with an error.
    """
    best: dict[str, tuple[int, float]] = {}
    for entry in entries:
        best[key_of(entry)] = max(best.get(key_of(entry), (0, 0.0)), _worth(entry))
    return [entry for entry in entries if _worth(entry) == best[key_of(entry)]]


def _worth(entry: Entry) -> tuple[int, float]:
    """Returns a sort key. The better of two entries about one session has the greater key; see `once`."""
    if "error" in entry:
        return 0, 0.0
    return (1, -entry.get("idle_s", 0.0)) if only_asks(entry) else (2, 0.0)


def only_asks(entry: Entry) -> bool:
    """Returns True if there is no session yet: `entry` is about an agent that waits for a client."""
    return entry.get("state") == HELD and "clients" not in entry


def oldest_first(entries: Sequence[Entry]) -> list[Entry]:
    """Returns `entries` in the order of the sessions' age."""
    return sorted(entries, key=lambda entry: entry.get("created", 0.0))
