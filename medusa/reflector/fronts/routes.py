"""Finds the function for the path of an HTTP request, and sends the answer that it returns. Unknown paths get 404."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from re import Pattern
from typing import Any, NamedTuple, Protocol

import structlog

from medusa import __version__
from medusa.protocol.attach_path import INTERNAL, LOGIN, SIGNED
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Request
from medusa.protocol.printable import printable
from medusa.protocol.session_id import parse_id
from medusa.protocol.websocket.handshake import check_upgrade
from medusa.reflector.admin.handlers import Administration
from medusa.reflector.admin.readiness import Readiness
from medusa.reflector.auth import access
from medusa.reflector.auth.access import Resource
from medusa.reflector.auth.denials import denied
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.http_response import Answer, build_fields, json_answer, status_line
from medusa.reflector.refusal import NOTHING_HERE, Refusal
from medusa.reflector.session_name import CARRIED, SIDES, SessionName
from medusa.reflector.sessions.registry import Registry
from medusa.session import STATUS_NAMES, Side, State
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="http")

READING = ("GET", "HEAD")

ONE_SESSION = rf"(?:({LOGIN})/)?([^/]*)\Z"
"""The regular expression for the end of a path that names one session. Groups: the login (None if absent), the id."""

TAKEN: Answer = (101, [], b"")
"""What a route's function returns after it has upgraded or forwarded the connection: no answer is left to send."""


class Upgrade(Protocol):
    """The interface to the handler of one HTTP connection, which a request may upgrade to a websocket."""

    accepted: Accepted

    def upgrade(self, key: str, more: bool = False) -> RelayedTransport:
        """Answers the request with 101, and returns the websocket's transport; see http_front."""


class Route(NamedTuple):
    """A path of HTTP requests, and the function that answers them.

    Attributes:
        path: a regular expression for the path.
        function: returns the answer. Its arguments are the connection and the groups of `path`.
        methods: the HTTP methods that are allowed. If GET is among them, HEAD has to be as well.
    """

    path: Pattern[str]
    function: Callable[..., Answer]
    methods: tuple[str, ...] = READING


class Workers(Protocol):
    """The interface for asking all workers of this reflector; see medusa.reflector.workers.rpc."""

    def status(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Returns two lists: an entry for each session of all workers, and an entry for each worker."""

    def silent(self) -> list[int]:
        """Returns the numbers of the other workers that do not answer in time.

        Blocks until all have answered, or until the time limit.
        """


Forwarded = Callable[[Accepted, Callable[[], RelayedTransport]], None]
"""A function that attaches a peer which another reflector forwards: an agent, or a client that joins a session.

Its arguments are the connection, and a function that answers the upgrade with 101 and returns the transport.
"""


class Application:
    """The reflector's WSGI application: it answers each HTTP request by the function for its path.

    Args:
        workers: asks all workers. None if this process is the only worker.
        forwarded: attaches peers that other reflectors forward. None if there are no other reflectors.
        routes: additional routes, which are tried before the fixed routes of this class.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        registry: Registry,
        admission: Admission,
        administration: Administration,
        workers: Workers | None = None,
        forwarded: Forwarded | None = None,
        routes: Iterable[Route] = (),
    ) -> None:
        self._config = config
        self._registry = registry
        self._admission = admission
        self._administration = administration
        self._workers = workers
        self._forwarded = forwarded
        self._readiness = Readiness(self._unready, config.timeouts.ready_interval)
        # Most requests attach, so their paths are tried first.
        self._attaching: list[tuple[Pattern[str], Callable[..., Answer]]] = [
            (INTERNAL, self._attach_internal),
            (SIGNED, self._attach_signed),
        ]
        self._routes = [
            *routes,
            Route(re.compile(r"/status\Z"), self._status),
            Route(re.compile(r"/healthz\Z"), self._healthz),
            Route(re.compile(r"/readyz\Z"), self._readyz),
            Route(re.compile(r"/metrics\Z"), administration.metrics),
            Route(re.compile(r"/sessions\Z"), administration.sessions),
            Route(re.compile(rf"/sessions/{ONE_SESSION}"), administration.session, ("DELETE", *READING)),
            Route(re.compile(r"/agent\.sh\Z"), self._archive),
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request. Sends no answer if the connection was upgraded to a websocket, or forwarded."""
        handler: Upgrade = environ["medusa.handler"]
        answer, accepted = self._answer(handler), handler.accepted
        if accepted.taken:
            return []
        assert accepted.request is not None
        start_response(status_line(answer[0]), build_fields(answer, time.time()))
        return [] if accepted.request.method == "HEAD" else [answer[2]]

    def _answer(self, handler: Upgrade) -> Answer:
        begun = time.monotonic()
        try:
            return self._route(handler)
        except (HandshakeError, Refusal) as error:
            refused = Refusal.of(error)
            self._log_refusal(handler.accepted, refused)
            if refused.secret:
                self._admission.hold_back(begun)
            return refused.status, refused.headers, (refused.words + "\n").encode()

    def _route(self, handler: Upgrade) -> Answer:
        request = handler.accepted.request
        assert request is not None
        path = request.target.partition("?")[0]
        for pattern, function in self._attaching:
            if match := pattern.match(path):
                _check_method(request, READING)
                return function(handler, *match.groups())
        for route in self._routes:
            if match := route.path.match(path):
                _check_method(request, route.methods)
                return route.function(handler.accepted, *match.groups())
        if path.startswith(CARRIED + "/"):
            _check_method(request, READING)
            return self._attach_forwarded(handler)
        raise Refusal(404, NOTHING_HERE)

    def _attach_internal(self, handler: Upgrade, raw_id: str, role: str) -> Answer:
        """Attaches a peer to the session `raw_id` by a path of the internal API, /attach/ID/ROLE.

        The request needs no signature: in a Manta, the proxy in front of the reflector has authenticated the peer.
        """
        access.check(Resource.ATTACH, handler.accepted, self._config)
        return self._attach(handler, raw_id, role)

    def _attach_signed(self, handler: Upgrade, login: str, raw_id: str, role: str) -> Answer:
        """Attaches a peer to a session of the account `login`, if the request is signed for this account."""
        access.check(Resource.SIGNED_ATTACH, handler.accepted, self._config)
        return self._attach(handler, raw_id, role, login)

    def _attach_forwarded(self, handler: Upgrade) -> Answer:
        """Attaches a peer that another reflector has admitted and forwards here."""
        if self._forwarded is None:
            raise Refusal(404, NOTHING_HERE)
        self._forwarded(handler.accepted, lambda: handler.upgrade(_upgrade_key(handler.accepted)))
        return TAKEN

    def _attach(self, handler: Upgrade, raw_id: str, role: str, login: str = "") -> Answer:
        accepted = handler.accepted
        side = SIDES[role]
        self._admission.count_attach(accepted, side)
        self._check_origin(accepted)
        key = _upgrade_key(accepted)
        name = SessionName(parse_id(raw_id), login)
        enter = self._admission.enter_signed if login else self._admission.enter
        refused = enter(accepted, name, side, lambda: handler.upgrade(key, more=side is Side.AGENT))
        if refused is not None:
            self._log_refusal(accepted, refused)
        return TAKEN

    def _check_origin(self, accepted: Accepted) -> None:
        assert accepted.request is not None
        origin = accepted.request.headers.get("origin")
        if origin is not None and origin.lower() not in self._config.allow_origin:
            raise denied(403, "web pages of this origin may not attach", "origin not on --allow-origin")

    def _status(self, accepted: Accepted) -> Answer:
        self._administration.check(Resource.SESSIONS, accepted)
        if self._workers is None:
            return json_answer({"health": "ok", "sessions": {"sessions": entries(self._registry)}})
        sessions, workers = self._workers.status()
        return json_answer({"health": "ok", "sessions": {"sessions": sessions}, "workers": workers})

    def _healthz(self, _: Accepted) -> Answer:
        return json_answer({"alive": True, "draining": self._registry.draining, "version": __version__})

    def _readyz(self, _: Accepted) -> Answer:
        unready = self._registry.unready() if self._registry.draining else self._readiness.reason()
        if unready:
            raise Refusal(503, unready, retry_after=5)
        return 200, [], b"ready\n"

    def _unready(self) -> str:
        silent = self._workers.silent() if self._workers is not None else []
        return f"worker {silent[0]} does not answer" if silent else self._registry.unready()

    def _archive(self, _: Accepted) -> Answer:
        try:
            data = Path(self._config.archive or "").read_bytes()
        except OSError:
            reason = "this installation carries no agent archive; build it with: make archive"
            raise Refusal(404, reason) from None
        return 200, [("Content-Type", "application/x-sh"), ("Cache-Control", "no-cache")], data

    def _log_refusal(self, accepted: Accepted, refused: Refusal) -> None:
        more = self._admission.refusals.note(refused.status, accepted.host)
        if more is not None:
            path = accepted.request.target.partition("?")[0] if accepted.request else ""
            line = {"status": refused.status, "reason": printable(refused.log_words), "path": printable(path), **more}
            log.info("request refused", client=accepted.client, **line)


def entries(registry: Registry) -> list[dict[str, Any]]:
    """Returns the sessions in `registry`, in the form that /status shows."""
    return [
        {
            "id": session.name.session_id,
            **({"login": session.name.login} if session.name.login else {}),
            # A held session without a client waits for its master: the original names know no other word for it.
            "state": STATUS_NAMES[State.CLAIMED if session.is_held and not session.pairs else session.state],
            "has_master": session.has(Side.CLIENT),
            "has_slave": session.has(Side.AGENT),
            "create_time": int(session.usage.created * 1000),
        }
        for session in registry.sessions()
    ]


def _check_method(request: Request, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        raise HandshakeError(405, "only %s is answered here" % methods[0], (("Allow", ", ".join(methods)),))


def _upgrade_key(accepted: Accepted) -> str:
    assert accepted.request is not None
    return check_upgrade(accepted.request)
