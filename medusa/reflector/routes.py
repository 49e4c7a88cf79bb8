"""Path -> function. One table; what is not in it is 404."""

from __future__ import annotations

import json
import re
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
from medusa.reflector.registry import Refused, Registry
from medusa.session import STATUS_NAMES, Input, Side
from medusa.transports import websocket

if TYPE_CHECKING:
    from medusa.reflector.config import ReflectorConfig
    from medusa.reflector.wsgi import Handler

log = structlog.get_logger(component="http")

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    426: "Upgrade Required",
    503: "Service Unavailable",
}

_ID = re.compile(r"[a-z0-9_][a-z0-9_.:@+\-]*(?:/[a-z0-9_][a-z0-9_.:@+\-]*)*\Z")
MAX_ID = 255
"""A job's id is a UUID in practice; there is room for a site's own scheme."""

Answer = tuple[int, list[tuple[str, str]], bytes]


class Application:
    """The reflector's routes as a WSGI application."""

    def __init__(self, config: ReflectorConfig, registry: Registry) -> None:
        self._config = config
        self._registry = registry
        self._routes: list[tuple[Pattern[str], Callable[..., Answer]]] = [
            (re.compile(r"/attach/([^/]*)/(master|slave)\Z"), self._attach),
            (re.compile(r"/status\Z"), self._status),
            (re.compile(r"/healthz\Z"), self._healthz),
            (re.compile(r"/agent\.sh\Z"), self._archive),
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        handler: Handler = environ["medusa.handler"]
        try:
            status, headers, body = self._route(handler)
        except HandshakeError as error:
            status, headers, body = error.http_status, list(error.headers), _line(str(error))
            self._log_refusal(handler, status, str(error))
        except Refused as refused:
            status, body = refused.http_status, _line(str(refused))
            headers = [("Retry-After", str(refused.retry_after))] if refused.retry_after else []
            self._log_refusal(handler, status, str(refused))
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
        raise Refused(404, "there is nothing at this path")

    def _attach(self, handler: Handler, raw_id: str, role: str) -> Answer:
        assert handler.request is not None
        key = check_upgrade(handler.request)
        session_id = parse_id(raw_id)
        side = Side.CLIENT if role == "master" else Side.AGENT
        if side is Side.CLIENT:
            session = self._registry.open(session_id, handler.peer)
        else:
            session = self._registry.join(session_id)
        try:
            handler.write_101(key)
            sock, rest = handler.take_socket()
        except BaseException:
            if side is Side.CLIENT:
                session.tell(Input.CLIENT_REFUSED)
            else:
                session.agent_expected = False
            raise
        session.attach(side, websocket.adopt(sock, rest, self._config.max_message), handler.peer)
        return 101, [], b""

    def _status(self, _: Handler) -> Answer:
        sessions = [
            {
                "id": session.session_id,
                "state": STATUS_NAMES[session.machine.state],
                "has_master": session.has(Side.CLIENT),
                "has_slave": session.has(Side.AGENT),
                "create_time": int(session.usage.created * 1000),
            }
            for session in self._registry.sessions()
        ]
        return _json({"health": "ok", "sessions": {"sessions": sessions}})

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


def parse_id(raw: str) -> str:
    """A session's id from its path segment: percent-decoded, trimmed, lower-cased, as the original does.

    Raises:
        HandshakeError: 400, it is not of the form that ids have.
    """
    if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
        raise HandshakeError(400, "bad session id")
    try:
        session_id = urllib.parse.unquote(raw, errors="strict").strip()
    except UnicodeDecodeError:
        session_id = ""
    # Some characters beyond ASCII have lower case within it.
    if not session_id.isascii() or not _ID.match(session_id.lower()) or len(session_id) > MAX_ID:
        raise HandshakeError(400, "bad session id")
    return session_id.lower()


def _line(text: str) -> bytes:
    return (text + "\n").encode("utf-8")


def _typed(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Content-Type" for name, _ in headers)


def _json(value: object) -> Answer:
    return 200, [("Content-Type", "application/json")], json.dumps(value).encode() + b"\n"
