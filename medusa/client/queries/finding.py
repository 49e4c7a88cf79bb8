"""Finds the session that the user has named by the beginning of its id, as in `mlogin 5d3e`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from medusa.client.outcome import Failure
from medusa.client.queries.api import NOT_AUTHORISED, Api, NoAnswer
from medusa.option_types import DID_YOU_MEAN, did_you_mean
from medusa.protocol.printable import printable

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

MAX_CANDIDATES = 20
"""The maximum number of sessions that a message lists."""

Entry = dict[str, Any]
"""The description of one session, in the form of the reflector's JSON."""


class Found(NamedTuple):
    """A session that was found: its id, and the account that has to sign requests for it.

    The account is None if requests need no signature.
    """

    session: str
    account: Account | None


def find_session(
    text: str,
    api: Api,
    *,
    login: str | None = None,
    find_account: Callable[[], Account] | None = None,
    otherwise: str = "",
    whole: bool = False,
) -> Found:
    """Returns the session whose id is `text`. If there is none, returns the only one whose id begins with `text`.

    Args:
        api: the reflector. If it has no account, the reflector is asked without a signature first.
        login: the name of the account that `find_account` returns; None if there is none.
        find_account: a function that returns an account. It is called if the reflector lists its sessions only for
            accounts, or if the session belongs to one. None if no account may sign.
        otherwise: words to add to the error if there is no such session.
        whole: True if `text` is a whole id. Then it is returned even if the reflector does not list it.

    Raises:
        Failure: there is no such session, or there are several, or the reflector does not list them.
    """
    try:
        entries, missing = entries_for(api, find_account)
    except NoAnswer as error:
        if whole:
            return Found(text, None)
        shown = printable(text)
        lines = [f"the sessions whose ids begin with `{shown}` are not known{otherwise}", *f"{error}".splitlines()]
        more = [] if DID_YOU_MEAN in otherwise else [f"  a session with just this id is entered by: --session {shown}"]
        raise Failure("\n  ".join(lines) + "".join(f"\n{line}" for line in more)) from None
    own = api.account.login if api.account is not None else None
    candidates = matching(text, entries, own)
    if not candidates and whole:
        return Found(text, api.account)
    if not candidates and DID_YOU_MEAN not in otherwise:
        otherwise += did_you_mean(text, [printable(str(entry.get("id"))) for entry in entries])
    if len(candidates) != 1:
        lines = _complaint(text, candidates, api, missing, otherwise)
        if any(entry.get("name") == text for entry in entries):
            lines.append(f"  to run something in the session of this name: medusa exec {printable(text)}")
        raise Failure("\n".join(lines))
    (entry,) = candidates
    owner = entry.get("login")
    if owner == own:
        return Found(entry["id"], api.account)
    if owner == login and find_account is not None:
        return Found(entry["id"], find_account())
    raise Failure(
        f"the session {printable(entry['id'])} belongs to {printable(str(owner))}: sign as that account, by -a"
    )


def entries_for(api: Api, find_account: Callable[[], Account] | None) -> tuple[list[Entry], str]:
    """Returns the sessions that the reflector lists for this user, and a text that says why some are missing.

    The text is "" if none are missing. If the reflector asks for a signature, sets the account of `api` to the one that
    `find_account` returns, and asks again. Raises NoAnswer if the reflector gives no list.
    """
    if api.account is None:
        try:
            return api.sessions("/sessions")
        except NoAnswer as error:
            if error.http_status not in NOT_AUTHORISED or find_account is None:
                raise
        api.account = find_account()
    return api.sessions(f"/{api.account.login}/medusa/sessions")


def matching(text: str, entries: Sequence[Entry], login: str | None) -> list[Entry]:
    """Returns the sessions that `text` may mean: the one with this id, or else all whose ids begin with `text`.

    If some of them belong to the account `login`, returns only these. If `login` is None, and some of them belong to no
    account, returns only these.
    """
    begun = [entry for entry in entries if str(entry.get("id")).startswith(text)]
    for found in ([e for e in begun if e.get("login") == login], begun):
        if found:
            return [entry for entry in found if entry["id"] == text] or found
    return []


def _complaint(text: str, candidates: Sequence[Entry], api: Api, missing: str, otherwise: str) -> list[str]:
    shown = printable(text)
    if not candidates:
        whose = "" if api.account is None else f" of {printable(api.account.login)}"
        lines = [f"no session{whose} at {api.name} has an id that begins with `{shown}`{otherwise}"]
        if DID_YOU_MEAN not in otherwise:
            lines.append(f"  to wait for one that begins later: --session {shown}")
    else:
        lines = [f"the ids of {len(candidates)} sessions begin with `{shown}`; give more of it:"]
        lines += [f"  {_line(entry)}" for entry in candidates[:MAX_CANDIDATES]]
        lines += ["  ..."] * (len(candidates) > MAX_CANDIDATES)
    return [*lines, f"  other reflectors' sessions are missing: {missing}"] if missing else lines


def place(entry: Entry) -> str:
    """Returns in words where a session runs: the job and the host of its agent.

    If both are unknown, returns the agent's address, or "-".
    """
    words = [str(entry[key]) for key in ("job", "host") if entry.get(key)]
    address = str(entry.get("agent") or "").rpartition(":")[0]
    return " on ".join(words) or address or "-"


def _line(entry: Entry) -> str:
    """Returns a line for the user about a session: its id, its state, and the address of its agent.

    If the agent's address is unknown, the line has the client's address.
    """
    address = entry.get("agent") or entry.get("client")
    words = [str(entry["id"]), str(entry.get("state", "unknown")), *([f"from {address}"] if address else [])]
    return printable("  ".join(words), 400)
