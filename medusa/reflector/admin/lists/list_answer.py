"""Answers requests for lists of sessions, a page at a time, and for whole lists up to a limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gevent

from medusa.protocol.http.head import Request
from medusa.reflector.admin.lists.cursor import asked
from medusa.reflector.admin.lists.pages import Entry
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.net.http_response import Answer, json_chunks

BEYOND = "the list is longer than one answer, and this program asks for no pages"


def list_answer(
    listing: SessionList,
    request: Request,
    login: str | None = None,
    shown: Callable[[Entry], Entry | None] | None = None,
) -> Answer:
    """Returns the answer to a request for a list of sessions.

    It is JSON: `sessions` is the list; `next`, if there is more, the cursor of the next page; `missing`, if it is not
    complete, the reason. A request without a limit gets the first MAX_PAGE sessions, and no cursor.

    Args:
        request: the request; see `asked` for its fields.
        login: lists only the sessions of this login, whatever the request says.
        shown: returns the entry to show in the place of an entry; None to leave it out.

    Raises HandshakeError (400) if a field of the request is malformed.
    """
    query, cursor, in_pages = asked(request)
    if login is not None:
        query = query._replace(login=login)
    entries, more, missing = listing.page(query, cursor)
    if shown is not None:
        entries = [entry for entry in map(shown, entries) if entry is not None]
    rest: dict[str, Any] = {}
    if more is not None and in_pages:
        rest["next"] = str(more)
    if missing or (more is not None and not in_pages):
        rest["missing"] = missing or BEYOND
    return list_json(entries, rest)


def list_json(entries: list[Entry], rest: dict[str, Any]) -> Answer:
    """Returns an answer with a JSON object: `sessions`, and what is in `rest`. Lets other greenlets run meanwhile."""
    pieces = ['{"sessions": ']
    for piece in json_chunks(entries):
        pieces.append(piece)
        gevent.sleep(0)
    pieces.append("".join(", %s: %s" % (json.dumps(name), json.dumps(value)) for name, value in rest.items()) + "}\n")
    return 200, [("Content-Type", "application/json")], "".join(pieces).encode()
