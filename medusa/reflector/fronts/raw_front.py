"""Accepts raw TCP connections: reads one greeting on each, strictly and with a time limit, then makes a link.

The greeting says whether the link has frames or plain bytes. `read_greeting` reads the greeting. `RawFront.enter`
checks it and attaches the peer.
"""

from __future__ import annotations

import re
import time
from typing import Any

import gevent
import structlog

from medusa.protocol import attach_path
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Headers, Request
from medusa.protocol.printable import printable
from medusa.protocol.raw.greeting import (
    FORMS,
    WAITING,
    Framed,
    LineReader,
    Plain,
    SpokeHttp,
    build_accepted,
    build_refusal,
    parse_greeting,
    parse_token,
)
from medusa.protocol.session_id import parse_id
from medusa.reflector.auth import access
from medusa.reflector.auth.access import Resource
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.doorkeeper import WORDS, Doorkeeper, wait_for_turn
from medusa.reflector.fronts.http_front import Handoff
from medusa.reflector.fronts.startups import IN_ALL, Dropped, Startup
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accept import PausingServer
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import source_of
from medusa.reflector.net.listen import RAW
from medusa.reflector.net.proxy_protocol import read_first_bytes
from medusa.reflector.net.sockets import hang_up
from medusa.reflector.refusal import NOTHING_HERE, Refusal
from medusa.reflector.session_name import SIDES, SessionName
from medusa.session import Side
from medusa.transports.adopt import adopt_framed, adopt_plain
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="raw")

_NEVER = re.compile(rb"[^\x20-\x7e\r\n]|\r(?=[^\n])")
"""Matches bytes that no greeting contains: a control character, a byte above ASCII, or a CR within the line."""

_DROPPED = build_refusal(503, WORDS[IN_ALL])
_HTTP_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s\n"


class RawFront(PausingServer):
    """The server for raw TCP connections.

    Args:
        listener: the listening socket, of gevent's type.
        config, metrics: the configuration and the metrics of the reflector.
        scratch: the buffer that links read into; see RelayedTransport.
        doorkeeper: counts the connections whose peers have not identified themselves.
        handoff: hands connections over to other workers. None if there are no others.
    """

    def __init__(
        self,
        listener: Any,
        admission: Admission,
        config: ReflectorConfig,
        metrics: Metrics,
        scratch: memoryview,
        doorkeeper: Doorkeeper,
        handoff: Handoff | None = None,
    ) -> None:
        super().__init__(listener, self._accept)
        self._admission = admission
        self._config = config
        self._metrics = metrics
        self._scratch = scratch
        self._doorkeeper = doorkeeper
        self._handoff = handoff
        if handoff is not None:
            self.max_accept = 1  # workers that share a socket accept one connection at a time

    def let_in(self, sock: Any, address: tuple[Any, ...]) -> Startup | None:
        """Counts a connection that was accepted. Returns the Startup that counts it, or None if it was dropped."""
        return self._doorkeeper.admit(sock, address, _DROPPED)

    def _accept(self, sock: Any, address: tuple[Any, ...], startup: Startup) -> None:
        self._serve(Accepted(RAW, sock, address, startup=startup))

    def serve(self, accepted: Accepted) -> None:
        """Serves a connection that another worker has accepted and handed over. Call this in a new greenlet."""
        if self._doorkeeper.take_over(accepted, _DROPPED):
            self._serve(accepted)

    def _serve(self, accepted: Accepted) -> None:
        begun = time.monotonic()
        if not accepted.handed_over:
            self._metrics.accepted()
        self._metrics.handlers += 1
        try:
            self._answer(accepted)
        except Dropped as error:
            self._doorkeeper.drop(error, accepted.sock, accepted.host, _DROPPED)
        except (HandshakeError, Refusal) as error:
            refused = Refusal.of(error)
            self._log_refusal(accepted, refused)
            if refused.secret:
                self._admission.hold_back(begun)
            self._refuse(accepted.sock, error, build_refusal(refused.status, refused.words))
        except OSError:
            pass  # the peer is gone
        finally:
            if not accepted.taken:
                hang_up(accepted.sock, self._config.timeouts.linger_timeout)
            accepted.identified()
            self._metrics.handlers -= 1

    def _answer(self, accepted: Accepted) -> None:
        timeouts = self._config.timeouts
        with greeting_timeout(timeouts.head_timeout):
            if not accepted.handed_over:
                accepted.keep(read_first_bytes(accepted, self._config, self._doorkeeper.name_client))
            wait_for_turn(self.admit)
            if not read_greeting(accepted):
                return
        accepted.sock.settimeout(timeouts.answer_timeout)
        accepted.source = source_of(accepted.host, self._config)
        greeting = parse_greeting(accepted.head)
        if accepted.handed_over or self._handoff is None or not self._handoff.hand_over(accepted, *_named(greeting)):
            self.enter(greeting, accepted)

    def enter(self, greeting: Framed | Plain, accepted: Accepted) -> None:
        """Attaches the peer that sent `greeting`, if it may attach.

        Raises:
            HandshakeError, Refusal: the peer is refused, and has received no answer yet.
        """
        name, side = _named(greeting)
        accepted.plain = isinstance(greeting, Plain)
        accepted.request = request_of(greeting)

        def accept() -> RelayedTransport:
            return accept_greeting(greeting, side, accepted, self._config.max_message, self._scratch)

        self._admission.count_attach(accepted, side)
        resource = Resource.SIGNED_ATTACH if name.login else Resource.RAW_ATTACH
        unsigned = access.check(resource, accepted, self._config)
        enter = self._admission.enter if unsigned else self._admission.enter_signed
        refused = enter(accepted, name, side, accept)
        if refused is not None:
            self._log_refusal(accepted, refused)

    def _log_refusal(self, accepted: Accepted, refused: Refusal) -> None:
        more = self._admission.refusals.note(refused.status, accepted.host)
        if more is not None:
            line = {"status": refused.status, "reason": printable(refused.log_words), **more}
            log.info("greeting refused", client=accepted.client, **line)

    def _refuse(self, sock: Any, error: Exception, line: bytes) -> None:
        try:
            sock.settimeout(self._config.timeouts.answer_timeout)
            sock.sendall(_HTTP_REFUSAL % str(error).encode() if isinstance(error, SpokeHttp) else line)
        except OSError:
            pass  # the peer is gone


def accept_greeting(
    greeting: Framed | Plain, side: Side, accepted: Accepted, max_message: int, scratch: memoryview
) -> RelayedTransport:
    """Tells the peer that it is accepted, and returns the peer's transport. Raises OSError.

    An agent without frames is told nothing now. It gets the line "OK linked" when the session links it to the client.
    """
    if isinstance(greeting, Framed):
        accepted.sock.sendall(build_accepted(accepted.granted))
        return adopt_framed(accepted.take(), accepted.rest, max_message, scratch)
    if side is Side.CLIENT:
        accepted.sock.sendall(WAITING)
    return adopt_plain(accepted.take(), accepted.rest, scratch, accepted.typed)


def greeting_timeout(seconds: float) -> gevent.Timeout:
    """Returns a context manager that limits the time in which a greeting is read.

    If the `with` block lasts longer than `seconds`, HandshakeError (408) is raised in the block.
    """
    return gevent.Timeout(seconds, HandshakeError(408, "no greeting in %g s; %s" % (seconds, FORMS)))


def read_greeting(accepted: Accepted) -> bool:
    """Reads the first line, which is the greeting, and keeps it in `accepted` as the head.

    Call this in a `with greeting_timeout(...)` block.

    Returns False if the stream ends without a byte.

    Raises:
        HandshakeError: 400, the line is too long, the stream ends within it, or no greeting can begin like this.
        OSError: the connection is broken.
    """
    reader = LineReader()
    data = accepted.data or accepted.receive()
    while data:
        found = reader.feed(data)
        if found is not None:
            (accepted.head, accepted.rest), accepted.typed = found, reader.typed
            return True
        if _NEVER.search(accepted.data):  # such a peer would only wait for the timeout
            raise HandshakeError(400, "not a greeting; " + FORMS)
        data = accepted.receive()
    if reader.empty:  # a port scan sends nothing
        return False
    raise HandshakeError(400, "the first line has no end; " + FORMS)


def request_of(greeting: Framed | Plain) -> Request | None:
    """Returns the HTTP request that means the same as a greeting. Raises HandshakeError if the greeting is malformed.

    Returns None if the greeting is for plain bytes and has no token. A token is a pre-signed URL.
    """
    if isinstance(greeting, Plain):
        if not greeting.token:
            return None
        greeting = parse_token(greeting.token)
    headers = [("host", greeting.host), *((name.lower(), value) for name, value in greeting.fields)]
    return Request("GET", greeting.target, "HTTP/1.1", Headers(headers))


def _named(greeting: Framed | Plain) -> tuple[SessionName, Side]:
    """Returns the session and the side that a greeting names. Raises HandshakeError or Refusal if it names none."""
    if isinstance(greeting, Framed):
        return _named_by_path(greeting)
    session_id, side = parse_id(greeting.session), SIDES[greeting.role]
    if not greeting.token:
        return SessionName(session_id), side
    name, signed_side = _named_by_path(parse_token(greeting.token))
    if (name.session_id, signed_side) != (session_id, side):
        raise HandshakeError(400, "the pre-signed URL is for another session or another side")
    return name, side


def _named_by_path(asked: Framed) -> tuple[SessionName, Side]:
    path = asked.target.partition("?")[0]
    found = attach_path.parse(path)
    if found is None:
        raise Refusal(404, NOTHING_HERE)
    return SessionName(parse_id(found.raw_id), found.login), SIDES[found.role]
