"""Path -> function. One table; what is not in it is 404."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from re import Pattern
from typing import TYPE_CHECKING, Any

import structlog

from medusa import __version__
from medusa.protocol.attach_path import INTERNAL, LOGIN, SIGNED
from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.protocol.session_id import parse_id
from medusa.protocol.websocket.handshake import check_upgrade
from medusa.reflector.admin.handlers import Administration
from medusa.reflector.auth.authenticator import denied
from medusa.reflector.cluster.forward_out import Traveller
from medusa.reflector.fronts.admission import Client, Doors
from medusa.reflector.net.http_response import Answer, json_answer
from medusa.reflector.net.listen import HTTP
from medusa.reflector.refusal import NOTHING_HERE, Refusal
from medusa.reflector.session_name import CARRIED, SESSIONS, SIDES, SessionName
from medusa.reflector.sessions.registry import Registry
from medusa.session import STATUS_NAMES, Side
from medusa.transports.adopt import adopt_websocket
from medusa.transports.relayed import RelayedTransport

if TYPE_CHECKING:
    from medusa.reflector.cluster.forward_in import ForwardIn
    from medusa.reflector.cluster.query_server import QueryServer
    from medusa.reflector.config import ReflectorConfig
    from medusa.reflector.fronts.http_front import Handler
    from medusa.reflector.workers.rpc import OtherWorkers

log = structlog.get_logger(component="http")

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    426: "Upgrade Required",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


_READING = ("GET", "HEAD")

TAKEN: Answer = (101, [], b"")
"""The connection has left HTTP."""


class Application:
    """The reflector's routes as a WSGI application.

    Args:
        workers: the other workers, if there are any.
        carried: for what other reflectors bring, where there are any; asked: for what they ask.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        registry: Registry,
        doors: Doors,
        administration: Administration,
        workers: OtherWorkers | None = None,
        carried: ForwardIn | None = None,
        asked: QueryServer | None = None,
    ) -> None:
        self._config = config
        self._registry = registry
        self._doors = doors
        self._workers = workers
        self._carried = carried
        self._to_delete = [administration.session, asked.session if asked else None]
        self._administration = administration
        self._routes: list[tuple[Pattern[str], Callable[..., Answer]]] = [
            (INTERNAL, self._attach_internal),
            (SIGNED, self._attach_signed),
            (re.compile(re.escape(CARRIED) + "/"), self._attach_carried),
            (re.compile(r"/status\Z"), self._status),
            (re.compile(r"/healthz\Z"), self._healthz),
            (re.compile(r"/readyz\Z"), self._readyz),
            (re.compile(r"/metrics\Z"), administration.metrics),
            (re.compile(r"/sessions\Z"), administration.sessions),
            (re.compile(rf"/sessions/(?:({LOGIN})/)?([^/]*)\Z"), administration.session),
            (re.compile(r"/agent\.sh\Z"), self._archive),
        ]
        if asked is not None:  # before what is carried
            one = re.compile(rf"{re.escape(SESSIONS)}/(?:({LOGIN})/)?([^/]*)\Z")
            self._routes[:0] = [(re.compile(re.escape(SESSIONS) + r"\Z"), asked.sessions), (one, asked.session)]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        handler: Handler = environ["medusa.handler"]
        begun = time.monotonic()
        try:
            status, headers, body = self._route(handler)
        except (HandshakeError, Refusal) as error:
            refused = Refusal.of(error)
            status, headers, body = refused.status, refused.headers, _line(refused.words)
            self._log_refusal(handler, refused)
            if refused.secret:
                self._doors.hold_back(begun)
        if handler.socket is None:
            return []
        headers = [("Content-Type", "text/plain; charset=utf-8"), *headers] if not _typed(headers) else headers
        headers += [("Connection", "close"), ("Content-Length", str(len(body)))]
        start_response("%d %s" % (status, REASONS[status]), headers)
        return [] if handler.request is not None and handler.request.method == "HEAD" else [body]

    def _route(self, handler: Handler) -> Answer:
        request = handler.request
        assert request is not None
        path = request.target.partition("?")[0]
        for pattern, function in self._routes:
            match = pattern.match(path)
            if match is not None:
                allowed = ("DELETE", *_READING) if function in self._to_delete else _READING
                if request.method not in allowed:
                    raise HandshakeError(405, "only %s is answered here" % allowed[0], (("Allow", ", ".join(allowed)),))
                return function(handler, *match.groups())
        raise Refusal(404, NOTHING_HERE)

    def _attach_internal(self, handler: Handler, raw_id: str, role: str) -> Answer:
        """As the original's front door asks: it has judged who may."""
        check_internal(self._doors, handler)
        self._doors.count(handler.source)
        key = self._check_upgrade(handler)
        name, client = SessionName(parse_id(raw_id)), Client(handler.peer, handler.source)
        refused = self._doors.enter(name, SIDES[role], client, lambda: self._upgrade(handler, key), _traveller(handler))
        return self._taken(handler, refused)

    def _attach_signed(self, handler: Handler, login: str, raw_id: str, role: str) -> Answer:
        """As users and jobs ask: here it is judged."""
        request = handler.request
        assert request is not None
        self._doors.check_front()
        self._doors.count(handler.source)
        key = self._check_upgrade(handler)
        name, client = SessionName(parse_id(raw_id), login), Client(handler.peer, handler.source)
        traveller = _traveller(handler)
        refused = self._doors.enter_signed(
            request, name, SIDES[role], client, lambda: self._upgrade(handler, key), traveller
        )
        return self._taken(handler, refused)

    def _taken(self, handler: Handler, refused: Refusal | None) -> Answer:
        if refused is not None:
            self._log_refusal(handler, refused)
        return TAKEN

    def _attach_carried(self, handler: Handler) -> Answer:
        """As another reflector asks, for a peer that it has judged."""
        if self._carried is None:
            raise Refusal(404, NOTHING_HERE)

        def upgrade() -> RelayedTransport:
            assert handler.request is not None
            return self._upgrade(handler, check_upgrade(handler.request))

        self._carried.enter(handler, upgrade)
        return TAKEN

    def _upgrade(self, handler: Handler, key: str) -> RelayedTransport:
        handler.write_101(key)
        sock, rest = handler.take_socket()
        return adopt_websocket(sock, rest, self._config.max_message, handler.server.scratch)

    def _check_upgrade(self, handler: Handler) -> str:
        assert handler.request is not None
        origin = handler.request.headers.get("origin")
        if origin is not None and origin.lower() not in self._config.allow_origin:
            raise denied(403, "web pages of this origin may not attach", "origin not on --allow-origin")
        return check_upgrade(handler.request)

    def _status(self, handler: Handler) -> Answer:
        self._administration.check_listed(handler)
        if self._workers is None:
            return json_answer({"health": "ok", "sessions": {"sessions": entries(self._registry)}})
        sessions, workers = self._workers.status()
        return json_answer({"health": "ok", "sessions": {"sessions": sessions}, "workers": workers})

    def _healthz(self, _: Handler) -> Answer:
        return json_answer({"alive": True, "draining": self._registry.draining, "version": __version__})

    def _readyz(self, _: Handler) -> Answer:
        unready = self._registry.unready()
        if unready:
            raise Refusal(503, unready, retry_after=5)
        return 200, [], b"ready\n"

    def _archive(self, _: Handler) -> Answer:
        try:
            data = Path(self._config.archive or "").read_bytes()
        except OSError:
            reason = "this installation carries no agent archive; build it with: make archive"
            raise Refusal(404, reason) from None
        return 200, [("Content-Type", "application/x-sh"), ("Cache-Control", "no-cache")], data

    def _log_refusal(self, handler: Handler, refused: Refusal) -> None:
        more = self._doors.note(refused)
        if more is not None:
            path = handler.request.target.partition("?")[0] if handler.request else ""
            line = {"status": refused.status, "reason": printable(refused.log_words), "path": printable(path), **more}
            log.info("request refused", client=handler.peer, **line)


def check_internal(doors: Doors, handler: Handler) -> None:
    """Doors.check_internal, for a request."""
    assert handler.request is not None
    items = handler.request.headers.items
    doors.check_internal(handler.client_address[0], items, proxied=handler.proxied)


def _traveller(handler: Handler) -> Traveller:
    return Traveller(HTTP, handler.head, handler.read_so_far, handler.origin, lambda: handler.take_socket()[0])


def entries(registry: Registry) -> list[dict[str, Any]]:
    """The sessions that live here, as /status shows them."""
    return [
        {
            "id": session.name.session_id,
            **({"login": session.name.login} if session.name.login else {}),
            "state": STATUS_NAMES[session.machine.state],
            "has_master": session.has(Side.CLIENT),
            "has_slave": session.has(Side.AGENT),
            "create_time": int(session.usage.created * 1000),
        }
        for session in registry.sessions()
    ]


def _line(text: str) -> bytes:
    return (text + "\n").encode("utf-8")


def _typed(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Content-Type" for name, _ in headers)
