"""Raw TCP: one greeting on each connection, read strictly and under a deadline; then the link, with frames or without.

Its steps take a connection and what was read of it so far: `read_greeting`, then `enter`, which judges and attaches.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import gevent
import structlog
from gevent.server import StreamServer

from medusa.protocol.errors import HandshakeError
from medusa.protocol.greeting import (
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
from medusa.protocol.head import Headers, Request
from medusa.protocol.printable import printable
from medusa.reflector.auth import Denied
from medusa.reflector.colleagues import Colleagues
from medusa.reflector.config import HEAD_TIMEOUT
from medusa.reflector.doors import NOTHING_HERE, Doors, hold_back, refusal
from medusa.reflector.letters import Letter
from medusa.reflector.listening import RAW
from medusa.reflector.names import ATTACH, SIDES, SIGNED_ATTACH, SessionName, parse_id
from medusa.reflector.registry import Refused
from medusa.reflector.wsgi import ANSWER_TIMEOUT, hang_up, host_port, ungreen
from medusa.session import Side
from medusa.transports import tcp
from medusa.transports.plain import PlainTransport
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="raw")

_HTTP_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s\n"


class Listener(StreamServer):
    """The raw port.

    Args:
        listener: gevent's socket.
        scratch: as RelayedTransport's.
        colleagues: the other workers, where there are any.
    """

    def __init__(
        self, listener: Any, doors: Doors, max_message: int, scratch: memoryview, colleagues: Colleagues | None = None
    ) -> None:
        super().__init__(listener, self.greeted)
        self._doors = doors
        self._max_message = max_message
        self._scratch = scratch
        self._colleagues = colleagues
        if colleagues is not None:
            self.max_accept = 1  # who shares a socket accepts one at a time

    def greeted(self, sock: Any, address: Any, data: bytes = b"") -> None:
        """Called in a greenlet of the connection's own. `data`: what was read of it elsewhere."""
        begun = time.monotonic()
        try:
            self._answer(sock, address, data)
        except (HandshakeError, Refused, Denied) as error:
            refused = refusal(error)
            reason = printable(refused.why)
            log.info("greeting refused", client=host_port(address), status=refused.status, reason=reason)
            if refused.secret:
                hold_back(begun)
            self._refuse(sock, error, build_refusal(refused.status, refused.words))
        except OSError:
            pass  # the peer is gone
        finally:
            if sock.fileno() >= 0:
                hang_up(sock)

    def _answer(self, sock: Any, address: Any, data: bytes) -> None:
        found = read_greeting(sock, data)
        if found is not None:
            sock.settimeout(ANSWER_TIMEOUT)
            greeting = parse_greeting(found.line)
            if data or not self._lives_elsewhere(greeting, sock, found, address):
                self.enter(greeting, sock, found, address)

    def _lives_elsewhere(self, greeting: Framed | Plain, sock: Any, found: FirstLine, address: Any) -> bool:
        """Whether the connection was handed to another worker. Raises HandshakeError: it could not be."""
        owner = self._colleagues.owner(_asked(greeting)[1]) if self._colleagues is not None else None
        if self._colleagues is None or owner is None:
            return False
        self._colleagues.send(owner, Letter(RAW, address, found.whole), sock)
        sock.close()
        return True

    def enter(self, greeting: Framed | Plain, sock: Any, found: FirstLine, address: Any) -> None:
        """Let the peer in, if it may. `found`: what `greeting` was parsed from.

        Raises:
            HandshakeError, Refused, Denied
        """
        asked, name, side = _asked(greeting)

        def accept() -> RelayedTransport:
            if isinstance(greeting, Framed):
                sock.sendall(ACCEPTED)
                return tcp.adopt(ungreen(sock), found.rest, self._max_message, self._scratch)
            if side is Side.CLIENT:
                sock.sendall(WAITING)
            return PlainTransport(ungreen(sock), found.rest, self._scratch, found.typed)

        if name.login:
            request = Request("GET", asked.target, "HTTP/1.1", Headers([("host", asked.host)]))
            self._doors.enter_signed(request, name, side, host_port(address), accept)
        else:
            self._doors.check_unsigned(address[0])
            self._doors.enter(name, side, host_port(address), accept)

    def _refuse(self, sock: Any, error: Exception, line: bytes) -> None:
        try:
            sock.settimeout(ANSWER_TIMEOUT)
            sock.sendall(_HTTP_REFUSAL % str(error).encode() if isinstance(error, SpokeHttp) else line)
        except OSError:
            pass  # the peer is gone


class FirstLine(NamedTuple):
    """A line without its end, and what came behind it; `whole`: all of it as it came. `typed` as LineReader's."""

    line: bytes
    rest: bytes
    typed: bool
    whole: bytes


def read_greeting(sock: Any, data: bytes) -> FirstLine | None:
    """The first line; None where nothing came at all.

    Args:
        data: what was read already.

    Raises:
        HandshakeError: 408, it did not come in time; 400, it is too long, or has no end.
    """
    reader, whole = LineReader(), b""
    with gevent.Timeout(HEAD_TIMEOUT, HandshakeError(408, "no greeting in %g s; %s" % (HEAD_TIMEOUT, FORMS))):
        while data or (data := sock.recv(MAX_LINE)):
            whole += data
            found = reader.feed(data)
            if found is not None:
                return FirstLine(*found, reader.typed, whole)
            data = b""
    if reader.empty:  # who looks whether a port is open says nothing
        return None
    raise HandshakeError(400, "the first line has no end; " + FORMS)


def _asked(greeting: Framed | Plain) -> tuple[Framed, SessionName, Side]:
    """What a greeting stands for: a request, of which session, and for which side. Raises HandshakeError, Refused."""
    if isinstance(greeting, Framed):
        return (greeting, *_named(greeting))
    session_id, side = parse_id(greeting.session), SIDES[greeting.role]
    if not greeting.token:
        return Framed("", ""), SessionName(session_id), side
    asked = parse_token(greeting.token)
    name, signed_side = _named(asked)
    if (name.session_id, signed_side) != (session_id, side):
        raise HandshakeError(400, "the pre-signed URL is for another session or another side")
    return asked, name, side


def _named(asked: Framed) -> tuple[SessionName, Side]:
    path = asked.target.partition("?")[0]
    internal, front = ATTACH.match(path), SIGNED_ATTACH.match(path)
    if internal:
        return SessionName(parse_id(internal[1])), SIDES[internal[2]]
    if front:
        return SessionName(parse_id(front[2]), front[1]), SIDES[front[3]]
    raise Refused(404, NOTHING_HERE)
