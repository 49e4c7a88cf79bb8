"""Answers the questions of other reflectors: lists the sessions of this reflector, or ends one of them.

An answer is for this reflector with all of its workers. No question is passed on to other reflectors, so no question
goes in a circle.
"""

from __future__ import annotations

import re
import urllib.parse

import structlog

from medusa.directory import DirectoryError, Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.session_id import parse_id
from medusa.reflector.admin.lists.cursor import asked
from medusa.reflector.admin.lists.list_answer import list_json
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.cluster.peer_auth import MAX_SKEW, QUESTION_HEADER, BadProof, PeerAuth
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.routes import ONE_SESSION, READING, Route
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.http_response import Answer, json_answer
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.refusal import NOTHING_HERE, Refusal, directory_away
from medusa.reflector.session_name import DRAINS, SESSIONS, SessionName
from medusa.reflector.sessions.claims.marks import Marks

log = structlog.get_logger(component="query_server")


_LEFT = re.compile(r"\?left=([0-9]{1,9}(?:\.[0-9]{1,3})?)(?:&peer=([A-Za-z0-9%._\-]{1,128}))?\Z")


class QueryServer:
    """Answers the HTTP requests in which other reflectors ask this one about its sessions.

    Args:
        auth: checks the proofs in the requests.
        marks: records in the directory which requests were used.
        listing: lists and ends the sessions of this reflector.
        owner: this reflector, as the directory names it.
        admission: counts and logs forged questions.
    """

    def __init__(self, auth: PeerAuth, marks: Marks, listing: SessionList, owner: Owner, admission: Admission) -> None:
        self._auth = auth
        self._marks = marks
        self._listing = listing
        self._owner = owner
        self._admission = admission

    def routes(self) -> list[Route]:
        """Returns the routes for the requests of other reflectors. Pass them to Application."""
        one, drained = (re.compile(rf"{re.escape(prefix)}/{ONE_SESSION}") for prefix in (SESSIONS, DRAINS))
        return [
            Route(re.compile(re.escape(SESSIONS) + r"\Z"), self.sessions),
            Route(one, self.session, ("DELETE", *READING)),
            Route(drained, self.drain, ("POST", *READING)),
        ]

    def sessions(self, accepted: Accepted) -> Answer:
        """Answers GET with a part of the sessions of this reflector, which the request names; see `asked`.

        Raises Refusal or HandshakeError if the request is not accepted; see `_check`.
        """
        self._check(accepted, "GET")
        assert accepted.request is not None
        query, _, _ = asked(accepted.request)
        entries, upto = self._listing.here(query)
        return list_json(entries, {} if upto is None else {"upto": upto})

    def session(self, accepted: Accepted, login: str | None, raw_id: str) -> Answer:
        """Answers DELETE: ends a session of this reflector. The answer says whether there was such a session.

        Raises Refusal or HandshakeError if the request is not accepted; see `_check`.
        """
        self._check(accepted, "DELETE")
        name = SessionName(parse_id(raw_id), login or "")
        killed = self._listing.kill_here(name)
        if killed:
            log.warning("session killed", session=name.session_id, login=login, by=accepted.client)
        return json_answer({"killed": killed})

    def drain(self, accepted: Accepted, login: str | None, raw_id: str) -> Answer:
        """Answers the POST that another reflector sends before it stops, if it forwards a peer to this one.

        The answer says whether this reflector will end the peer's pair of client and agent before that time. Raises
        Refusal or HandshakeError if the request is not accepted; see `_check`.
        """
        self._check(accepted, "POST")
        assert accepted.request is not None
        left = _LEFT.search(accepted.request.target)
        if left is None:
            raise HandshakeError(400, "left=SECONDS is missing")
        name = SessionName(parse_id(raw_id), login or "")
        return json_answer(
            {"told": self._listing.drain_here(name, float(left[1]), urllib.parse.unquote(left[2] or ""))}
        )

    def _check(self, accepted: Accepted, method: str) -> None:
        """Checks that another reflector of the site has sent the request, and still waits for the answer.

        `method`: the HTTP method that the request must have.

        Raises:
            Refusal: 404 if the request has no valid proof, 429 if too many requests had no valid proof, 503 if the
                directory does not answer.
            HandshakeError: 400, the other reflector has hung up.
        """
        request = accepted.request
        assert request is not None
        value = request.headers.get(QUESTION_HEADER.lower()) or ""
        try:
            if request.method != method:
                raise BadProof("not asked by " + method)
            self._use_up(self._auth.check_question(value, method, request.target, self._owner.address))
        except BadProof as error:
            more = self._admission.refusals.fields("question", accepted.host)
            if more is not None:
                log.warning("question refused", client=accepted.client, reason=str(error), **more)
            self._admission.count(accepted.source)
            raise Refusal(404, NOTHING_HERE) from None
        accepted.identified()
        if hung_up(accepted.sock.fileno()):  # perhaps because this process was suspended
            raise HandshakeError(400, "the reflector that asked has given up")

    def _use_up(self, nonce: str) -> None:
        """Records in the directory that the nonce of a question is used. Raises BadProof if it was used before.

        The record is in the directory because all workers must see it. Raises Refusal if the directory does not answer.
        """
        try:
            fresh = self._marks.spend("question " + nonce, 2 * MAX_SKEW)
        except DirectoryError:
            raise directory_away() from None
        if not fresh:
            raise BadProof("used before")
