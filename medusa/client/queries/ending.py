"""Ends one of the user's own sessions, by a request to its reflector."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.client.queries.api import NOT_FOUND, Api, NoAnswer
from medusa.client.queries.local import REFLECTOR, Entry
from medusa.protocol.printable import printable

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

HELD = "held"
"""The state of a session whose agent waits for a client."""


def end(entry: Entry, api: Api | None, find_account: Callable[[], Account] | None = None) -> str:
    """Ends a session, and returns its id.

    Args:
        entry: the session's description, from the list of `api` or from the list of this machine's sessions.
        api: the reflector that lists the session. None if only this machine lists it.
        find_account: a function that returns the account that signs, if `api` has none.

    Raises:
        Failure: the session has ended already, or cannot be ended, or the reflector does not answer.
    """
    session = str(entry["id"])
    quoted = urllib.parse.quote(session, safe="-_.~:@+")
    path = f"/sessions/{quoted}"
    if REFLECTOR in entry:
        api = Api(entry[REFLECTOR], proxies=False)
    assert api is not None
    if entry.get("login") is not None:
        path = f"/{entry['login']}/medusa{path}"
        if api.account is None and find_account is not None:
            api.account = find_account()
    try:
        api.ask("DELETE", path)
    except NoAnswer as error:
        raise Failure("\n".join([f"the session {printable(session)} was not ended", *_why(error, entry)])) from None
    return session


def _why(error: NoAnswer, entry: Entry) -> list[str]:
    """Returns lines for the user that say why a session was not ended.

    `error`: the refusal of the reflector. `entry`: the session's description.
    """
    if error.http_status == NOT_FOUND and entry.get("state") == HELD:
        return ["  its agent is of an earlier version: it has no session, and asks for a client from time to time"]
    return [f"  {line}" for line in str(error).splitlines()]
