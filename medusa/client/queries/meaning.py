"""Decides which of several sessions a text means: an id, the beginning of an id, or a name. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from medusa.client.queries.local import REFLECTOR

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

Entry = dict[str, Any]
"""The description of one session, in the form of the reflector's JSON."""

LIVE = "linked"
"""The state of a session that is in use."""

HELD, ABSENT = "held", "absent"
"""The states of a session that nobody uses and that is kept: its agent is there, or has lost its link."""


def state_words(entry: Entry) -> str:
    """Returns the state of a session in words. If its command has ended, and waits for a client to be told: how."""
    state, ended = str(entry.get("state", "unknown")), entry.get("ended")
    return f"ended, {ended}" if state == HELD and ended else state


class Place(NamedTuple):
    """A session that was found, with what a client needs to reach it.

    Attributes:
        session: the session's id.
        reflector: the URL of the session's reflector, if an mlogin on this machine has started this reflector. None if
            the session is at the reflector that was asked.
        account: the account that has to sign requests for the session; None if they need no signature.
    """

    session: str
    reflector: str | None = None
    account: Account | None = None


def find_here(text: str, local: Sequence[Entry], *, any_case: bool = False) -> Place | None:
    """Returns the session of this machine whose whole id or name is `text`.

    Returns None if there is no such session, or if there are several. `any_case`: see `meant`.
    """
    entries = meant(text, local, any_case=any_case)
    found = [entry for entry in entries if text.lower() == entry["id"] or _is_name(text, entry, any_case=any_case)]
    return Place(found[0]["id"], found[0][REFLECTOR]) if len(found) == 1 else None


def _is_name(text: str, entry: Entry, *, any_case: bool) -> bool:
    name = str(entry.get("name") or "")
    return bool(name) and text in (name, name.lower() if any_case else name)


def meant(text: str, entries: Sequence[Entry], *, prefer_live: bool = True, any_case: bool = False) -> list[Entry]:
    """Returns the sessions that `text` may mean. Returns an empty list if there are none.

    `text` means the session with this id. If there is none, it means the sessions with this name. If there are none
    with this name, it means the sessions whose ids begin with it. If `prefer_live` is True and some of the found
    sessions can be joined, returns only these. If `any_case` is True, capital letters of a name may be small in `text`.
    """
    lower = text.lower()
    for found in (
        [entry for entry in entries if entry.get("id") == lower],
        [entry for entry in entries if _is_name(text, entry, any_case=any_case)],
        [entry for entry in entries if lower and str(entry.get("id")).startswith(lower)],
    ):
        if found:
            live = [entry for entry in found if can_be_joined(entry)] if prefer_live else []
            return live or found
    return []


def is_kept(entry: Entry) -> bool:
    """True if no client uses the session, and its agent keeps it for the next client.

    False if the agent still waits for its first client, as agents of an earlier version do: there is no session yet.
    """
    return entry.get("state") in (HELD, ABSENT) and entry.get("clients") is not None


def can_be_joined(entry: Entry) -> bool:
    """Returns True if a client can join the session."""
    return entry.get("state", LIVE) == LIVE or is_kept(entry)
