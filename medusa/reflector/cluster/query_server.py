"""What other reflectors of the site ask of this one: its sessions, and the end of one. It tells of itself and its
workers alone, so no question goes round in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from medusa.directory import DirectoryError, Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.session_id import parse_id
from medusa.reflector.admin.session_list import Listing
from medusa.reflector.cluster.peer_auth import ASKS, SKEW, Forged, Site
from medusa.reflector.net.http_response import Answer, json_answer
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.refusal import NOTHING_HERE, Refusal, directory_away
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims import Claims

if TYPE_CHECKING:
    from medusa.reflector.fronts.http_front import Handler

log = structlog.get_logger(component="asked")


class Asked:
    """Its routes. `owner`: this reflector."""

    def __init__(self, site: Site, claims: Claims, listing: Listing, owner: Owner) -> None:
        self._site = site
        self._claims = claims
        self._listing = listing
        self._owner = owner

    def sessions(self, handler: Handler) -> Answer:
        """What lives here."""
        self._check(handler, "GET")
        return json_answer({"sessions": self._listing.here()})

    def session(self, handler: Handler, login: str | None, raw_id: str) -> Answer:
        """End one that lives here: whether there was one."""
        self._check(handler, "DELETE")
        name = SessionName(parse_id(raw_id), login or "")
        killed = self._listing.kill_here(name)
        if killed:
            log.warning("session killed", session=name.session_id, login=login, by=handler.peer)
        return json_answer({"killed": killed})

    def _check(self, handler: Handler, method: str) -> None:
        """Raises Refusal, HandshakeError."""
        request = handler.request
        assert request is not None
        value = request.headers.get(ASKS.lower()) or ""
        try:
            if request.method != method:
                raise Forged("not asked by " + method)
            nonce = self._site.check_question(value, method, request.target, self._owner.address)
            self._spend(nonce)
        except Forged as error:
            log.warning("question refused", client=handler.peer, reason=str(error))
            raise Refusal(404, NOTHING_HERE) from None
        if hung_up(handler.socket.fileno()):  # this process may have stood still
            raise HandshakeError(400, "whoever asked has given up")

    def _spend(self, nonce: str) -> None:
        """At all workers together."""
        try:
            fresh = self._claims.spend("question " + nonce, 2 * SKEW)
        except DirectoryError:
            raise directory_away() from None
        if not fresh:
            raise Forged("used before")
