"""Ends a session for an administrator or a user, whose request is signed or needs no signature."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.auth.authenticator import Grant
from medusa.reflector.auth.denials import denied
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
    """Ends a session, wherever it lives. Returns the answer to the request that has asked for this.

    The request's signature is recorded as used in three cases: the session was told to end, it may have been told to
    end, or there is no such session. In all other cases the signature stays unused.

    Args:
        accepted: the connection of the request.
        listing: ends the session, in this reflector or in another one.
        grant: what the request's signature proves. None if the request needs no signature.
        reserve: reserves the signature.

    Raises:
        Refusal: there is no such session, a web page has sent the request, the signature was used before, or the
            session cannot be ended.
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
    """Confirms the reservation of the request's signature, calls `kill`, and records that the signature is used.

    Returns what `kill` returns. Raises Refusal if `kill` raises it, or if the reservation cannot be confirmed. After
    such a Refusal the signature stays unused if the session was certainly not told to end. Otherwise it is recorded as
    used; see Refusal.uncertain.
    """
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
