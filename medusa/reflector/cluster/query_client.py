"""Asks the other reflectors that share the directory for their sessions, or asks one of them to end a session."""

from __future__ import annotations

import contextlib
import functools
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import gevent
import gevent.pool
import structlog

from medusa.directory import Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import HeadReader, parse_response
from medusa.protocol.printable import printable
from medusa.reflector.admin.lists.cursor import MAX_SILENT, mark
from medusa.reflector.admin.lists.pages import Entry, Part, Query, Source, merged
from medusa.reflector.cluster.peer_auth import QUESTION_HEADER, PeerAuth
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import DRAINS, SESSIONS, SessionName
from medusa.reflector.sessions.registry import Registry

log = structlog.get_logger(component="query_client")

CONCURRENCY = 16
"""The maximum number of reflectors that are asked at the same time."""

MAX_ANSWER = 16 * 1024 * 1024
"""The largest answer in bytes: room for some 40,000 sessions."""

MAX_REFLECTORS = 1000
"""The maximum number of other reflectors that are asked."""

KNOWN_FOR = 30.0
"""For so many seconds the list of reflectors is not read again for the next pages of a list of sessions."""

ROWS_TIME = 1.0
"""Seconds for which one page looks at rows of the directory."""


_NOT_OURS = "not the answer of a reflector of this site"


class NoAnswer(Exception):
    """Raised if a reflector does not answer, or if its answer cannot be used. The text says why.

    Attributes:
        refused: True if it is certain that the reflector has not done what it was asked.
    """

    def __init__(self, words: str, *, refused: bool = False) -> None:
        super().__init__(words)
        self.refused = refused


class QueryClient:
    """Lists and ends the sessions of the other reflectors.

    It implements the interface `Others` of medusa.reflector.admin.lists.others.

    Args:
        auth: signs the requests.
        connect: returns a connection to the reflector at an address: ForwardOut.connect, or a replacement.
        timeout: seconds to connect to a reflector and receive its whole answer.
    """

    def __init__(self, auth: PeerAuth, registry: Registry, connect: Callable[[str], Any], timeout: float) -> None:
        self._timeout = timeout
        self._auth = auth
        self._registry = registry
        self._connect = connect
        self._known: list[Owner] = []
        self._known_until = 0.0

    def part(self, own: Source, query: Query, silent: dict[str, str], fresh: bool) -> Part:
        """Returns a part of the list with the sessions of all reflectors; see `Others` of lists.others.

        Asks every other reflector. Even a reflector without sessions may have an entry, for an agent that waits for a
        client.
        """
        asked = [functools.partial(self._part, owner, silent) for owner in self._reflectors(fresh=fresh)]
        pool = gevent.pool.Pool(CONCURRENCY)
        found = merged([own, *asked], query, pool.map)
        if len(silent) > MAX_SILENT:
            raise Refusal(503, "more than %d reflectors do not answer" % MAX_SILENT, retry_after=5)
        return found

    def rows(self, query: Query, silent: dict[str, str], row: str) -> tuple[list[Entry], str]:
        """Returns entries with an error, for sessions of reflectors that do not answer; see `Others` of lists.others.

        If a reflector that was not asked has a session, it does not answer either: it has no lease on its address.

        If all reflectors have answered, looks for no sessions of one login: to look at the whole directory would take
        longer with each session of the others.
        """
        if query.login and not silent:
            return [], ""
        found: list[Entry] = []
        known, deadline = {owner.address for owner in self._reflectors(fresh=False)}, time.monotonic() + ROWS_TIME
        begin = "" if query.login is None else str(SessionName(query.prefix, query.login))
        while True:
            rows, row = self._registry.of_others(row, begin)
            for name, owner in rows.items():
                if not query.wants(name.login, name.session_id):
                    continue
                if owner is None:
                    found.append(_failed(name, None, "the directory's entry for this session cannot be used"))
                elif owner.address not in known:
                    found.append(_failed(name, owner, "it has no lease on its address"))
                elif silent and (error := silent.get(mark(owner.address))) is not None:
                    found.append(_failed(name, owner, error))
            if not row or len(found) >= query.limit or time.monotonic() > deadline:
                return found, row

    def row(self, name: SessionName) -> Entry | None:
        """Returns an entry with an error if another reflector has the session `name`, by the directory."""
        owner = self._registry.elsewhere(name)
        return _failed(name, owner, "no answer") if owner is not None else None

    def kill(self, name: SessionName) -> bool:
        """Ends the session `name` in the other reflector that owns it. Returns False if there is no such session.

        Raises Refusal if the owner does not answer.
        """
        owner = self._registry.elsewhere(name)
        if owner is None:
            return False
        try:
            return self._ask(owner, "DELETE", _path(SESSIONS, name)).get("killed") is True
        except NoAnswer as error:
            reason = "%s, which the session lives in, does not answer: %s" % (printable(owner.address), error)
            refusal = Refusal(503, reason, retry_after=5)
            refusal.uncertain = not error.refused
            raise refusal from None

    def announce_drain(self, owner: Owner, name: SessionName, peer: str, left: float) -> bool:
        """Tells the owner of a session that this reflector stops in `left` seconds.

        Returns True if the owner will end the peer's pair of client and agent before that time. Returns False if it
        will not do this, does not answer, or is too old to know this request.

        Args:
            owner: the reflector that owns the session.
            name: the name of the session.
            peer: the address of the client or agent that this reflector forwards.
        """
        target = "%s?left=%.3f" % (_path(DRAINS, name), max(0.0, left))
        for query in ("&peer=" + urllib.parse.quote(peer, safe=""), ""):  # an older owner refuses the first
            try:
                return self._ask(owner, "POST", target + query).get("told") is True
            except NoAnswer as error:
                if not error.refused:
                    break
        return False

    def _reflectors(self, *, fresh: bool) -> list[Owner]:
        """Returns the other reflectors. `fresh`: False if those of up to KNOWN_FOR seconds before will do."""
        if fresh or self._known_until < time.monotonic():
            self._known = self._registry.others(MAX_REFLECTORS)
            self._known_until = time.monotonic() + KNOWN_FOR
        return self._known

    def _part(self, owner: Owner, silent: dict[str, str], query: Query) -> Part:
        if mark(owner.address) in silent:
            return Part([])
        fields = {"login": query.login, "id": query.prefix, "after": query.after, "limit": query.limit}
        given = {name: value for name, value in fields.items() if value or (name == "login" and value is not None)}
        try:
            answer = self._ask(owner, "GET", "%s?%s" % (SESSIONS, urllib.parse.urlencode(given)))
            entries, upto = _entries(answer, owner), answer.get("upto")
            if upto is not None and not (isinstance(upto, str) and upto > query.after):
                raise NoAnswer(_NOT_OURS)
        except NoAnswer as error:
            silent[mark(owner.address)] = str(error)
            return Part([])
        return Part(query.wanted(entries), upto)  # an older reflector answers with all its sessions

    def _ask(self, owner: Owner, method: str, target: str) -> dict[str, Any]:
        try:
            with gevent.Timeout(self._timeout, NoAnswer("no whole answer in %g s" % self._timeout)):
                return self._exchange(owner, method, target)
        except (OSError, ValueError, RecursionError, HandshakeError) as error:
            reason = NoAnswer(_words(error))
        except NoAnswer as error:
            reason = error
        log.warning("reflector not reached", to=owner.address, error=str(reason))
        raise reason

    def _exchange(self, owner: Owner, method: str, target: str) -> dict[str, Any]:
        """Sends a request to `owner`, and returns the JSON object in the answer.

        Raises NoAnswer if there is no usable answer, and the exceptions of the connection and of the parsers.
        """
        host = urllib.parse.urlsplit(owner.address).netloc
        proof = self._auth.sign_question(method, target, owner.address)
        head = "%s %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n" % (method, target, host, QUESTION_HEADER, proof)
        try:
            connection = self._connect(owner.address)
        except (OSError, ValueError) as error:
            raise NoAnswer(_words(error), refused=True) from None
        with contextlib.closing(connection) as sock:
            sock.settimeout(self._timeout)
            sock.sendall(head.encode("latin-1"))
            answer = json.loads(_body(sock))
        if not isinstance(answer, dict):
            raise NoAnswer(_NOT_OURS)
        return answer


def _failed(name: SessionName, owner: Owner | None, error: str) -> Entry:
    """Returns the entry for a session whose owner has told nothing about it."""
    address = owner.address if owner is not None else None
    return {"id": name.session_id, "login": name.login or None, "owner": address, "error": error}


def _path(prefix: str, name: SessionName) -> str:
    login = name.login + "/" if name.login else ""
    return "%s/%s%s" % (prefix, login, urllib.parse.quote(name.session_id, safe=""))


def _words(error: Exception) -> str:
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _body(sock: Any) -> bytes:
    """Returns the body of the answer on `sock`. Raises NoAnswer if the status is not 200."""
    reader, found = HeadReader(), None
    while found is None:
        found = reader.feed(_receive(sock))
    response, body = parse_response(found[0]), bytearray(found[1])
    if response.status != 200:
        raise NoAnswer("it refuses, with HTTP status %d" % response.status, refused=True)
    announced = response.headers.get("content-length") or "0"
    if not (announced.isascii() and announced.isdigit() and len(announced) < 19):
        raise NoAnswer(_NOT_OURS)
    length = int(announced)
    if length > MAX_ANSWER:
        raise NoAnswer("an answer above %d bytes" % MAX_ANSWER)
    while len(body) < length:
        body += _receive(sock)
    return bytes(body[:length])


def _receive(sock: Any) -> bytes:
    data: bytes = sock.recv(1 << 16)
    if not data:
        raise NoAnswer("it has hung up")
    return data


def _entries(answer: dict[str, Any], owner: Owner) -> list[Entry]:
    """Returns the sessions in an answer. Gives each of them the key `owner`, the reflector that has answered.

    Raises NoAnswer if an entry does not have the form that other code relies on.
    """
    entries = answer.get("sessions")
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise NoAnswer(_NOT_OURS)
    return [{**entry, "owner": owner.address} for entry in entries]


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("id"), str)
        and isinstance(entry.get("login", 0), (str, type(None)))
        and isinstance(entry.get("created"), (int, float))
        and isinstance(entry.get("idle_s", 0.0), (int, float))
    )
