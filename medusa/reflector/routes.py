"""Path -> function. One table; what is not in it is 404."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from re import Pattern
from typing import TYPE_CHECKING, Any

import gevent
import structlog

from medusa import __version__
from medusa.protocol.errors import HandshakeError
from medusa.protocol.handshake import check_upgrade
from medusa.protocol.printable import printable
from medusa.protocol.signature import LOGIN
from medusa.reflector.addresses import is_loopback
from medusa.reflector.administration import Administration
from medusa.reflector.answers import Answer, json_answer
from medusa.reflector.auth import Authenticator, Denied, unknown
from medusa.reflector.limits import Muffler
from medusa.reflector.listing import Listing
from medusa.reflector.names import SessionName, parse_id
from medusa.reflector.registry import Limited, Refused, Registry
from medusa.session import STATUS_NAMES, Input, Side
from medusa.transports import websocket

if TYPE_CHECKING:
    from medusa.reflector.config import ReflectorConfig
    from medusa.reflector.live import LiveSession
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
    429: "Too Many Requests",
    503: "Service Unavailable",
}

SIDES = {"master": Side.CLIENT, "slave": Side.AGENT}

REFUSAL_DELAY = 0.2
"""Seconds after which the front door says no, whatever the reason: how long it thought tells nobody anything."""

_FORWARDED = re.compile(r"(?:forwarded|via|x-forwarded-.*|x-real-ip|x-client-ip|cf-connecting-ip|true-client-ip)\Z")
"""What a proxy adds: a request with any of these does not come from this host, wherever its connection does."""

_READING = ("GET", "HEAD")

LINES = 60
"""Lines a minute in the log for what the limits refuse."""


class Application:
    """The reflector's routes as a WSGI application."""

    def __init__(
        self,
        config: ReflectorConfig,
        registry: Registry,
        authenticator: Authenticator | None,
        listing: Listing | None = None,
    ) -> None:
        self._config = config
        self._authenticator = authenticator
        self._registry = registry
        self._muffler = Muffler(LINES)
        self.administration = Administration(
            config, listing or Listing(registry, ""), registry.metrics, authenticator, self._check_internal
        )
        self._routes: list[tuple[Pattern[str], Callable[..., Answer]]] = [
            (re.compile(r"/attach/([^/]*)/(master|slave)\Z"), self._attach_internal),
            (re.compile(rf"/({LOGIN})/medusa/attach/([^/]*)/(master|slave)\Z"), self._attach_signed),
            (re.compile(r"/status\Z"), self._status),
            (re.compile(r"/healthz\Z"), self._healthz),
            (re.compile(r"/readyz\Z"), self._readyz),
            (re.compile(r"/metrics\Z"), self.administration.metrics),
            (re.compile(r"/sessions\Z"), self.administration.sessions),
            (re.compile(rf"/sessions/(?:({LOGIN})/)?([^/]*)\Z"), self.administration.session),
            (re.compile(r"/agent\.sh\Z"), self._archive),
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        handler: Handler = environ["medusa.handler"]
        begun = time.monotonic()
        try:
            status, headers, body = self._route(handler)
        except HandshakeError as error:
            status, headers, body = error.http_status, list(error.headers), _line(str(error))
            self._log_refusal(handler, status, str(error))
        except Refused as refused:
            status, body = refused.http_status, _line(str(refused))
            headers = [("Retry-After", str(refused.retry_after))] if refused.retry_after else []
            self._log_refusal(handler, status, str(refused), muffled=isinstance(refused, Limited))
        except Denied as denied:
            status, headers, body = denied.http_status, denied.headers, _line(denied.reason)
            self._log_refusal(handler, status, denied.why)
            gevent.sleep(max(0.0, begun + REFUSAL_DELAY - time.monotonic()))
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
                allowed = ("DELETE", *_READING) if function == self.administration.session else _READING
                if request.method not in allowed:
                    raise HandshakeError(405, "only %s is answered here" % allowed[0], (("Allow", ", ".join(allowed)),))
                return function(handler, *match.groups())
        raise Refused(404, "there is nothing at this path")

    def _attach_internal(self, handler: Handler, raw_id: str, role: str) -> Answer:
        """As the original's front door asks: it has judged who may."""
        self._check_internal(handler)
        self._registry.connect(source=handler.source)
        key = self._check_upgrade(handler)
        return self._attach(handler, key, SessionName(parse_id(raw_id)), SIDES[role])

    def _attach_signed(self, handler: Handler, login: str, raw_id: str, role: str) -> Answer:
        """As users and jobs ask: here it is judged."""
        assert handler.request is not None
        if self._authenticator is None:
            raise Refused(404, "this reflector has no accounts: attach without one, or start it with --accounts")
        self._registry.connect(source=handler.source)
        key = self._check_upgrade(handler)
        name = SessionName(parse_id(raw_id), login)
        grant = self._authenticator.check(handler.request, name, SIDES[role])
        self._registry.connect(login=login)
        nonces = self._authenticator.nonces
        nonces.use(grant.digest, grant.until)
        try:
            answer = self._attach(handler, key, name, SIDES[role])
        except BaseException as error:
            nonces.give_back(grant.digest)
            if isinstance(error, Refused) and error.http_status == 404:
                raise unknown("signed, but there is no such session") from None
            raise
        who = {"login": login, "user": grant.key_id.user, "key": grant.key_id.fingerprint}
        log.info("attached", client=handler.peer, session=name.session_id, side=SIDES[role].value, **who)
        return answer

    def _attach(self, handler: Handler, key: str, name: SessionName, side: Side) -> Answer:
        session = self._find(handler, name, side)
        try:
            handler.write_101(key)
            sock, rest = handler.take_socket()
        except BaseException:
            if side is Side.CLIENT:
                session.tell(Input.CLIENT_REFUSED)
            else:
                session.agent_expected = False
            raise
        transport = websocket.adopt(sock, rest, self._config.max_message, self._registry.turns.scratch)
        session.attach(side, transport, handler.peer)
        return 101, [], b""

    def _find(self, handler: Handler, name: SessionName, side: Side) -> LiveSession:
        if side is Side.CLIENT:
            return self._registry.open(name, handler.peer, handler.source)
        return self._registry.join(name)

    def _check_upgrade(self, handler: Handler) -> str:
        assert handler.request is not None
        origin = handler.request.headers.get("origin")
        if origin is not None and origin.lower() not in self._config.allow_origin:
            raise Denied(403, "web pages of this origin may not attach", "origin not on --allow-origin")
        return check_upgrade(handler.request)

    def _check_internal(self, handler: Handler) -> None:
        """The internal API asks nobody who he is."""
        assert handler.request is not None
        if self._config.front_door_only:
            raise Refused(404, "there is nothing at this path")
        if self._config.trusted_network:
            return
        passed_on = handler.proxied or any(_FORWARDED.match(name) for name, _ in handler.request.headers.items)
        if passed_on or not is_loopback(handler.client_address[0]):
            raise Refused(403, "this is served on loopback only, or with --trusted-network")

    def _status(self, handler: Handler) -> Answer:
        self.administration.check_listed(handler)
        sessions = [
            {
                "id": session.name.session_id,
                **({"login": session.name.login} if session.name.login else {}),
                "state": STATUS_NAMES[session.machine.state],
                "has_master": session.has(Side.CLIENT),
                "has_slave": session.has(Side.AGENT),
                "create_time": int(session.usage.created * 1000),
            }
            for session in self._registry.sessions()
        ]
        return json_answer({"health": "ok", "sessions": {"sessions": sessions}})

    def _healthz(self, _: Handler) -> Answer:
        return json_answer({"alive": True, "draining": self._registry.draining, "version": __version__})

    def _readyz(self, _: Handler) -> Answer:
        unready = self._registry.unready()
        if unready:
            raise Refused(503, unready, retry_after=5)
        return 200, [], b"ready\n"

    def _archive(self, _: Handler) -> Answer:
        try:
            data = Path(self._config.archive or "").read_bytes()
        except OSError:
            reason = "this installation carries no agent archive; build it with: make archive"
            raise Refused(404, reason) from None
        return 200, [("Content-Type", "application/x-sh"), ("Cache-Control", "no-cache")], data

    def _log_refusal(self, handler: Handler, status: int, reason: str, *, muffled: bool = False) -> None:
        self._registry.metrics.refused(status)
        more = self._muffler.fields() if muffled else {}
        if more is None:
            return
        path = handler.request.target.partition("?")[0] if handler.request else ""
        refusal = {"status": status, "reason": printable(reason), "path": printable(path)}
        log.info("request refused", client=handler.peer, **refusal, **more)


def _line(text: str) -> bytes:
    return (text + "\n").encode("utf-8")


def _typed(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Content-Type" for name, _ in headers)
