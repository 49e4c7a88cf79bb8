"""Raw TCP: one greeting on each connection, read strictly and under a deadline; then the link, with frames or without.

Its steps take a connection and what was read of it so far: `read_greeting`, then `enter`, which judges and attaches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import gevent
import structlog

from medusa.protocol import attach_path
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Headers, Request
from medusa.protocol.printable import printable
from medusa.protocol.raw.greeting import (
    ACCEPTED,
    FORMS,
    MAX_LINE,
    WAITING,
    Framed,
    LineReader,
    Plain,
    SpokeHttp,
    build_refusal,
    parse_greeting,
    parse_token,
)
from medusa.protocol.session_id import parse_id
from medusa.reflector.cluster.forward_out import Traveller
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission import Client, Doors
from medusa.reflector.fronts.http_front import hang_up, host_port, ungreen
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accept import PausingServer
from medusa.reflector.net.listen import PROXIED, RAW
from medusa.reflector.net.proxy_protocol import begin, source_of
from medusa.reflector.refusal import NOTHING_HERE, Refusal
from medusa.reflector.session_name import SIDES, SessionName
from medusa.reflector.workers.fd_channel import Message
from medusa.reflector.workers.handoff import Handoff
from medusa.session import Side
from medusa.transports.adopt import adopt_framed, adopt_plain
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="raw")

_HTTP_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s\n"


class Listener(PausingServer):
    """The raw port.

    Args:
        listener: gevent's socket.
        metrics: of the reflector.
        scratch: as RelayedTransport's.
        handoff: to the other workers, if there are any.
    """

    def __init__(
        self,
        listener: Any,
        doors: Doors,
        config: ReflectorConfig,
        metrics: Metrics,
        scratch: memoryview,
        handoff: Handoff | None = None,
    ) -> None:
        super().__init__(listener, self.greeted)
        self._doors = doors
        self._config = config
        self._metrics = metrics
        self._scratch = scratch
        self._handoff = handoff
        if handoff is not None:
            self.max_accept = 1  # who shares a socket accepts one at a time

    def greeted(self, sock: Any, address: Any, data: bytes = b"", *, proxied: bool = False) -> None:
        """Called in a greenlet of the connection's own. `data`: what was read of it elsewhere; `proxied` and then
        `address` as Begun's."""
        begun = time.monotonic()
        if not data:
            self._metrics.accepted()
        self._metrics.handlers += 1
        connection = _Connection(sock, address, proxied)
        try:
            self._answer(connection, data)
        except (HandshakeError, Refusal) as error:
            refused = Refusal.of(error)
            self._log_refusal(connection, refused)
            if refused.secret:
                self._doors.hold_back(begun)
            self._refuse(sock, error, build_refusal(refused.status, refused.words))
        except OSError:
            pass  # the peer is gone
        finally:
            self._metrics.handlers -= 1
            if sock.fileno() >= 0:
                hang_up(sock, self._config.timeouts.linger_timeout)

    def _log_refusal(self, connection: _Connection, refused: Refusal) -> None:
        more = self._doors.note(refused)
        if more is not None:
            line = {"status": refused.status, "reason": printable(refused.log_words), **more}
            log.info("greeting refused", client=host_port(connection.address), **line)

    def _answer(self, connection: _Connection, data: bytes) -> None:
        found = read_greeting(
            connection.sock, data, lambda: self._begin(connection), self._config.timeouts.head_timeout
        )
        if found is not None:
            connection.sock.settimeout(self._config.timeouts.answer_timeout)
            greeting = parse_greeting(found.line)
            if data or not self._lives_elsewhere(greeting, connection, found):
                self.enter(greeting, connection, found)

    def _begin(self, connection: _Connection) -> bytes:
        connection.address, connection.proxied, data = begin(connection.sock, connection.address, self._config)
        return data

    def _lives_elsewhere(self, greeting: Framed | Plain, connection: _Connection, found: FirstLine) -> bool:
        """Whether the connection was handed to another worker. Raises HandshakeError: it could not be."""
        owner = self._handoff.owner(_asked(greeting)[1]) if self._handoff is not None else None
        if self._handoff is None or owner is None:
            return False
        about = RAW + PROXIED if connection.proxied else RAW
        self._handoff.send(owner, Message(about, connection.address, found.whole), connection.sock)
        connection.sock.close()
        return True

    def enter(self, greeting: Framed | Plain, connection: _Connection, found: FirstLine) -> None:
        """Let the peer in, if it may. `found`: what `greeting` was parsed from.

        Raises:
            HandshakeError, Refusal
        """
        asked, name, side = _asked(greeting)
        sock, host = connection.sock, connection.address[0]
        client = Client(host_port(connection.address), source_of(host, self._config))

        def accept() -> RelayedTransport:
            tell(greeting, side, sock)
            return adopt(greeting, ungreen(sock), found, self._config.max_message, self._scratch)

        halves = isinstance(greeting, Plain)
        traveller = Traveller(RAW, found.line, found.whole, connection.address, lambda: ungreen(sock), halves)
        self._doors.count(client.source)
        if asked is not None and name.login:
            request = Request("GET", asked.target, "HTTP/1.1", Headers([("host", asked.host)]))
            refused = self._doors.enter_signed(request, name, side, client, accept, traveller)
        else:
            self._doors.check_unsigned(host, proxied=connection.proxied)
            refused = self._doors.enter(name, side, client, accept, traveller)
        if refused is not None:
            self._log_refusal(connection, refused)

    def _refuse(self, sock: Any, error: Exception, line: bytes) -> None:
        try:
            sock.settimeout(self._config.timeouts.answer_timeout)
            sock.sendall(_HTTP_REFUSAL % str(error).encode() if isinstance(error, SpokeHttp) else line)
        except OSError:
            pass  # the peer is gone


def tell(greeting: Framed | Plain, side: Side, sock: Any) -> None:
    """The peer is let in: say so."""
    if isinstance(greeting, Framed):
        sock.sendall(ACCEPTED)
    elif side is Side.CLIENT:
        sock.sendall(WAITING)


def adopt(
    greeting: Framed | Plain, sock: Any, found: FirstLine, max_message: int, scratch: memoryview
) -> RelayedTransport:
    """The link to a peer that was let in. `sock` is not gevent's."""
    if isinstance(greeting, Framed):
        return adopt_framed(sock, found.rest, max_message, scratch)
    return adopt_plain(sock, found.rest, scratch, found.typed)


@dataclass
class _Connection:
    """`proxied` as Begun's, and `address` with it."""

    sock: Any
    address: tuple[Any, ...]
    proxied: bool


class FirstLine(NamedTuple):
    """A line without its end, and what came behind it; `whole`: all of it as it came. `typed` as LineReader's."""

    line: bytes
    rest: bytes
    typed: bool
    whole: bytes


def read_greeting(sock: Any, data: bytes, begin: Callable[[], bytes], timeout: float) -> FirstLine | None:
    """The first line; None where nothing came at all.

    Args:
        data: what was read already; where that is nothing `begin` reads the first of it.
        timeout: seconds for all of the line.

    Raises:
        HandshakeError: 408, it did not come in time; 400, it is too long, or has no end.
    """
    reader, whole = LineReader(), b""
    with gevent.Timeout(timeout, HandshakeError(408, "no greeting in %g s; %s" % (timeout, FORMS))):
        data = data or begin()
        while data or (data := sock.recv(MAX_LINE)):
            whole += data
            found = reader.feed(data)
            if found is not None:
                return FirstLine(*found, reader.typed, whole)
            data = b""
    if reader.empty:  # who looks whether a port is open says nothing
        return None
    raise HandshakeError(400, "the first line has no end; " + FORMS)


def _asked(greeting: Framed | Plain) -> tuple[Framed | None, SessionName, Side]:
    """The request that a greeting stands for, None for a plain one without a token; which session, and which side.

    Raises:
        HandshakeError, Refusal
    """
    if isinstance(greeting, Framed):
        return (greeting, *_named(greeting))
    session_id, side = parse_id(greeting.session), SIDES[greeting.role]
    if not greeting.token:
        return None, SessionName(session_id), side
    asked = parse_token(greeting.token)
    name, signed_side = _named(asked)
    if (name.session_id, signed_side) != (session_id, side):
        raise HandshakeError(400, "the pre-signed URL is for another session or another side")
    return asked, name, side


def _named(asked: Framed) -> tuple[SessionName, Side]:
    path = asked.target.partition("?")[0]
    found = attach_path.parse(path)
    if found is None:
        raise Refusal(404, NOTHING_HERE)
    return SessionName(parse_id(found.raw_id), found.login), SIDES[found.role]
