"""Path -> function. One table; what is not in it is 404."""

from __future__ import annotations

import ipaddress
import json
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from re import Pattern
from typing import TYPE_CHECKING, Any

import structlog

from medusa import __version__
from medusa.protocol.errors import HandshakeError
from medusa.protocol.handshake import check_upgrade
from medusa.protocol.printable import printable
from medusa.reflector.auth import Denied
from medusa.reflector.colleagues import Colleagues
from medusa.reflector.doors import NOTHING_HERE, Doors, hold_back, refusal
from medusa.reflector.names import ATTACH, SIDES, SIGNED_ATTACH, SessionName, parse_id
from medusa.reflector.registry import Refused, Registry
from medusa.session import STATUS_NAMES, Side
from medusa.transports import websocket
from medusa.transports.relayed import RelayedTransport

if TYPE_CHECKING:
    from medusa.reflector.config import ReflectorConfig
    from medusa.reflector.wsgi import Handler

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
    503: "Service Unavailable",
}

Answer = tuple[int, list[tuple[str, str]], bytes]


class Application:
    """The reflector's routes as a WSGI application. `colleagues`: where there are several workers."""

    def __init__(
        self, config: ReflectorConfig, registry: Registry, doors: Doors, colleagues: Colleagues | None = None
    ) -> None:
        self._config = config
        self._registry = registry
        self._doors = doors
        self._colleagues = colleagues
        self._routes: list[tuple[Pattern[str], Callable[..., Answer]]] = [
            (ATTACH, self._attach_internal),
            (SIGNED_ATTACH, self._attach_signed),
            (re.compile(r"/status\Z"), self._status),
            (re.compile(r"/healthz\Z"), self._healthz),
            (re.compile(r"/agent\.sh\Z"), self._archive),
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        handler: Handler = environ["medusa.handler"]
        begun = time.monotonic()
        try:
            status, headers, body = self._route(handler)
        except (HandshakeError, Refused, Denied) as error:
            status, words, why, headers, secret = refusal(error)
            body = _line(words)
            self._log_refusal(handler, status, why)
            if secret:
                hold_back(begun)
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
                if request.method not in ("GET", "HEAD"):
                    raise HandshakeError(405, "only GET is answered here", (("Allow", "GET, HEAD"),))
                return function(handler, *match.groups())
        raise Refused(404, NOTHING_HERE)

    def _attach_internal(self, handler: Handler, raw_id: str, role: str) -> Answer:
        """As the original's front door asks: it has judged who may."""
        self._check_internal(handler)
        key = self._check_upgrade(handler)
        name = SessionName(parse_id(raw_id))
        self._doors.enter(name, SIDES[role], handler.peer, lambda: self._upgrade(handler, key))
        return 101, [], b""

    def _attach_signed(self, handler: Handler, login: str, raw_id: str, role: str) -> Answer:
        """As users and jobs ask: here it is judged."""
        request = handler.request
        assert request is not None
        self._doors.check_front()
        key = self._check_upgrade(handler)
        name = SessionName(parse_id(raw_id), login)
        self._doors.enter_signed(request, name, SIDES[role], handler.peer, lambda: self._upgrade(handler, key))
        return 101, [], b""

    def _upgrade(self, handler: Handler, key: str) -> RelayedTransport:
        handler.write_101(key)
        sock, rest = handler.take_socket()
        return websocket.adopt(sock, rest, self._config.max_message, self._registry.turns.scratch)

    def _check_upgrade(self, handler: Handler) -> str:
        assert handler.request is not None
        origin = handler.request.headers.get("origin")
        if origin is not None and origin.lower() not in self._config.allow_origin:
            raise Denied(403, "web pages of this origin may not attach", "origin not on --allow-origin")
        return check_upgrade(handler.request)

    def _check_internal(self, handler: Handler) -> None:
        assert handler.request is not None
        self._doors.check_internal(handler.client_address[0], handler.request.headers.items)

    def _status(self, handler: Handler) -> Answer:
        assert handler.request is not None
        if self._config.no_status:
            raise Refused(404, NOTHING_HERE)
        self._check_internal(handler)
        # A web page may have a name of its own lead to this host, and read what this answers.
        if not self._config.trusted_network and not _is_this_host(handler.request.headers.get("host") or ""):
            raise Refused(403, "ask for this by the host's address, or as localhost")
        if self._colleagues is None:
            return _json({"health": "ok", "sessions": {"sessions": entries(self._registry)}})
        sessions, workers = self._colleagues.status()
        return _json({"health": "ok", "sessions": {"sessions": sessions}, "workers": workers})

    def _healthz(self, _: Handler) -> Answer:
        return _json({"alive": True, "draining": self._registry.draining, "version": __version__})

    def _archive(self, _: Handler) -> Answer:
        try:
            data = Path(self._config.archive or "").read_bytes()
        except OSError:
            reason = "this installation carries no agent archive; build it with: make archive"
            raise Refused(404, reason) from None
        return 200, [("Content-Type", "application/x-sh"), ("Cache-Control", "no-cache")], data

    def _log_refusal(self, handler: Handler, status: int, reason: str) -> None:
        path = handler.request.target.partition("?")[0] if handler.request else ""
        log.info("request refused", client=handler.peer, status=status, reason=printable(reason), path=printable(path))


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


def _is_this_host(host: str) -> bool:
    """Whether a Host header has an address, or localhost: what no name server can make to be another host."""
    try:
        name = urllib.parse.urlsplit("//" + host).hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _line(text: str) -> bytes:
    return (text + "\n").encode("utf-8")


def _typed(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Content-Type" for name, _ in headers)


def _json(value: object) -> Answer:
    return 200, [("Content-Type", "application/json")], json.dumps(value).encode() + b"\n"
