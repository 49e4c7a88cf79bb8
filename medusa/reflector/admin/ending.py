"""Ends a session for somebody who has asked for it, by a signed request or by one that needs no signature."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from medusa.reflector.admin.session_list import SessionList
from medusa.reflector.auth.authenticator import Grant, denied
from medusa.reflector.auth.single_use import Reservation
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.http_response import Answer, json_answer
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName

log = structlog.get_logger(component="admin")

Reserve = Callable[[Grant], Reservation]
"""A function that reserves a signature; see SingleUse.reserve."""

NO_SESSION = "there is no such session"


def end_session(
    accepted: Accepted, name: SessionName, listing: SessionList, grant: Grant | None, reserve: Reserve
) -> Answer:
    """Ends a session, wherever it lives, and returns the answer to the request that has asked for it.

    The signature can be used again after a refusal, if it is certain that the session was not told to end.

    Args:
        accepted: the connection of the request.
        grant: what the request's signature proves. None if the request needs no signature.

    Raises:
        Refusal: there is no such session, a web page asks, or the session cannot be ended.
    """
    assert accepted.request is not None
    if accepted.request.headers.get("origin") is not None:
        raise denied(403, "web pages may not end sessions")
    killed = listing.kill(name) if grant is None else _once(lambda: listing.kill(name), reserve(grant))
    if not killed:
        raise Refusal(404, NO_SESSION)
    by = str(grant.key_id).partition("/keys/")[0].lstrip("/") if grant is not None else accepted.client
    log.warning("session killed", session=name.session_id, login=name.login or None, by=by)
    return json_answer({"killed": True})


def _once(kill: Callable[[], bool], reservation: Reservation) -> bool:
    """Calls `kill`, and marks the request's signature as used. Returns what `kill` returns. Raises Refusal."""
    try:
        reservation.confirm()
        killed = kill()
    except BaseException as error:
        if isinstance(error, Refusal) and not error.uncertain:
            reservation.give_back()
        else:
            reservation.settle()
        raise
    reservation.settle()
    return killed
