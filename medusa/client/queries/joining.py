"""Finds the session that the user means by its id, the beginning of its id, or its name: `medusa exec SESSION`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.client.queries.api import Api, NoAnswer
from medusa.client.queries.finding import MAX_CANDIDATES, Entry, entries_for, place
from medusa.client.queries.local import REFLECTOR
from medusa.client.queries.meaning import LIVE, Place, can_be_joined, is_kept, meant, state_words
from medusa.option_types import did_you_mean
from medusa.protocol.printable import printable

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

_ELSEWHERE = " on this machine; for those at a reflector: --reflector URL, or `reflector = URL` in the config file"

HINT = "  `medusa ls` lists your sessions"

_NOT_YET = {
    "held": "its agent waits for a first client, which mlogin can be",
    "waiting": "its agent has not come yet",
    "claimed": "it is just being made",
}
"""State of a session -> why a session in this state cannot be joined.

The state `closing` is missing: if a client tries to join, the reflector itself answers that the session has ended.
"""


def find_live(
    text: str,
    local: Sequence[Entry],
    api: Api | None,
    *,
    login: str | None = None,
    find_account: Callable[[], Account] | None = None,
    any_case: bool = False,
) -> Place:
    """Returns the running session that `text` means: its id, the beginning of its id, or its name.

    Args:
        local: the sessions on this machine for which this user's mlogin runs its own reflector.
        api: the reflector that the user named; None if there is none. If it has no account, it is asked without a
            signature first.
        login: the name of the account that `find_account` returns; None if there is none.
        find_account: a function that returns an account. It is called if the reflector shows its sessions only to
            accounts, or if the session belongs to one. None if no account may sign.
        any_case: True if capital letters of a name may be small in `text`.

    Raises:
        Failure: there is no such session, or there are several; the session cannot be joined now; or the reflector does
            not answer.
    """
    entry = find_own(text, local, api, login=login, find_account=find_account, prefer_live=True, any_case=any_case)
    why = None if can_be_joined(entry) else _NOT_YET.get(str(entry.get("state")))
    if why is not None:
        raise Failure(f"the session {printable(entry['id'])} cannot be joined: {why}")
    return _place(entry, api, find_account)


def find_held(
    local: Sequence[Entry],
    api: Api | None,
    *,
    login: str | None = None,
    find_account: Callable[[], Account] | None = None,
) -> Place:
    """Returns the only session of the user that goes on without a client: its agent keeps it for the next client.

    Args:
        local: the sessions on this machine for which this user's mlogin runs its own reflector.
        api: the reflector that the user named; None if there is none. If it has no account, it is asked without a
            signature first.
        login: the name of the account that `find_account` returns; None if there is none.
        find_account: a function that returns an account. It is called if the reflector shows its sessions only to
            accounts, or if the session belongs to one. None if no account may sign.

    Raises:
        Failure: there is no such session, or there are several; or the reflector does not answer.
    """
    entries, missing = _listed("which is held", local, api, login, find_account)
    held = [entry for entry in entries if is_kept(entry)]
    if len(held) == 1:
        return _place(held[0], api, find_account)
    if not entries:
        lines = ["you have no sessions" + (_ELSEWHERE if api is None else f" at {api.name}")]
    elif not held:
        lines = ["none of your sessions is held; name the one to attach to:", *_lines(entries)]
    else:
        lines = [f"{len(held)} of your sessions are held; name one of them:", *_lines(held)]
    raise Failure("\n".join([*lines, *_missing(missing)]))


def _place(entry: Entry, api: Api | None, find_account: Callable[[], Account] | None) -> Place:
    if REFLECTOR in entry or api is None or entry.get("login") is None:
        return Place(entry["id"], entry.get(REFLECTOR))
    if api.account is None and find_account is not None:
        return Place(entry["id"], None, find_account())
    return Place(entry["id"], None, api.account)


def find_own(
    text: str,
    local: Sequence[Entry],
    api: Api | None,
    *,
    login: str | None = None,
    find_account: Callable[[], Account] | None = None,
    prefer_live: bool = False,
    any_case: bool = False,
) -> Entry:
    """Returns the description of the user's own session that `text` means.

    `text` is the session's id, the beginning of its id, or its name.

    Args:
        local: the sessions on this machine for which this user's mlogin runs its own reflector.
        api: the reflector that the user named; None if there is none.
        login: the name of the account that `find_account` returns; None if there is none.
        find_account: a function that returns the account that signs, if the reflector asks for a signature.
        prefer_live: True to leave out sessions that cannot be joined, if `text` also means one that can be joined.
        any_case: True if capital letters of a name may be small in `text`.

    Raises:
        Failure: there is no such session, or there are several; or the reflector does not answer.
    """
    entries, missing = _listed(f"`{printable(text)}`", local, api, login, find_account)
    candidates = meant(text, entries, prefer_live=prefer_live, any_case=any_case)
    if len(candidates) != 1:
        raise Failure("\n".join(_complaint(text, candidates, entries, api, missing)))
    return candidates[0]


def _listed(
    which: str,
    local: Sequence[Entry],
    api: Api | None,
    login: str | None,
    find_account: Callable[[], Account] | None,
) -> tuple[list[Entry], str]:
    """Returns all sessions of the user, and a text that says why some are missing ("" if none are missing).

    Raises Failure if the reflector gives no list. `which`: words for the session that is looked for, for this error.
    """
    if api is None:
        return list(local), ""
    try:
        found, missing = own_entries(api, login, find_account)
    except NoAnswer as error:
        raise Failure(f"the session {which} cannot be looked up\n  {error}") from None
    return [*local, *found], missing


def own_entries(api: Api, login: str | None, find_account: Callable[[], Account] | None) -> tuple[list[Entry], str]:
    """Returns the user's own sessions at a reflector, and a text that says why some are missing.

    These are the sessions of the user's account and the sessions that belong to no account. The text is "" if none are
    missing.

    Args:
        api: the reflector.
        login: the name of the account that `find_account` returns; None if there is none.
        find_account: a function that returns the account that signs, if the reflector asks for a signature.

    Raises:
        NoAnswer: the reflector gives no list.
    """
    found, missing = entries_for(api, find_account)
    owners = (None, login if api.account is None else api.account.login)
    return [entry for entry in found if entry.get("login") in owners and isinstance(entry.get("id"), str)], missing


def _complaint(
    text: str, candidates: Sequence[Entry], entries: Sequence[Entry], api: Api | None, missing: str
) -> list[str]:
    shown = printable(text)
    if candidates:
        lines = [f"`{shown}` means {len(candidates)} sessions; give the id, or more of it:", *_lines(candidates)]
    else:
        known = [printable(str(entry[key])) for entry in entries for key in ("name", "id") if entry.get(key)]
        where = "of mlogin on this machine" if api is None else f"at {api.name}"
        if api is not None and api.account is not None:
            where = f"of {printable(api.account.login)} {where}"
        lines = [f"no session {where} has this name, or an id that begins so: {shown}{did_you_mean(text, known)}"]
        if api is None:
            lines.append("  for a session at a reflector: --reflector URL, or `reflector = URL` in the config file")
        lines.append(HINT)
    return [*lines, *_missing(missing)]


def _missing(why: str) -> list[str]:
    return [f"  other reflectors' sessions are missing: {why}"] if why else []


def _lines(entries: Sequence[Entry]) -> list[str]:
    """Returns a line for each session, and `...` if there are more than MAX_CANDIDATES."""
    return [*(f"  {_line(entry)}" for entry in entries[:MAX_CANDIDATES]), *["  ..."][: len(entries) > MAX_CANDIDATES]]


def _line(entry: Entry) -> str:
    """Returns a line for the user about a session: its id, its name, its state, and where its agent is."""
    words = [str(entry["id"]), str(entry.get("name") or "-"), state_words({"state": LIVE, **entry}), place(entry)]
    return printable("  ".join(words), 400)
