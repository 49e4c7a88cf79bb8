"""One request on one connection: the head read strictly and under a deadline, then pywsgi runs the application.

pywsgi alone has no deadline for a head and reads ambiguous ones; so the head is read and judged here, and pywsgi never
sees it. No connection is kept alive: what stands behind a request is an upgraded link's first bytes, or nothing.
"""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import Any, Protocol

import gevent
import structlog
from gevent.pywsgi import WSGIServer, headers_factory  # type: ignore[attr-defined]

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import HeadReader, has_body, parse_request
from medusa.protocol.printable import printable
from medusa.protocol.raw.greeting import GREETING_START, is_greeting
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.upgrade import QUIET, UpgradeHandler
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accept import PausingServer
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.certificate import Certificate
from medusa.reflector.net.client_address import client_of, source_of
from medusa.reflector.net.listen import HTTP
from medusa.reflector.net.proxy_protocol import read_first_bytes
from medusa.reflector.net.sockets import hang_up
from medusa.reflector.session_name import SessionName, parse_path
from medusa.session import Side
from medusa.transports.adopt import adopt_websocket
from medusa.transports.relayed import RelayedTransport
from medusa.transports.tls import RECORD, Tls, TlsError, TlsSocket

log = structlog.get_logger(component="http")

PLAIN_REQUEST = "GET / HTTP/1.1"
NO_HEADERS = headers_factory(io.BytesIO(b"\r\n"))
"""What pywsgi is shown of any request: it would read the head once more, in its own way and within its own bounds."""

HANDSHAKE = 0x16
"""The first byte of every TLS connection: a record of this type (RFC 8446, section 5.1)."""


class Handoff(Protocol):
    """The way to the other workers; see medusa.reflector.workers.handoff."""

    def hand_over(self, accepted: Accepted, name: SessionName, side: Side) -> bool:
        """Give a connection to the worker that owns the session `name`; False if that is this one.

        Raises:
            HandshakeError: 503, the owner does not take it.
        """


class HttpFront(PausingServer, WSGIServer):
    """Listens for HTTP.

    Attributes:
        certificate: None if connections are not encrypted.
        handoff: None if there are no other workers.
        scratch: see RelayedTransport.
    """

    certificate: Certificate | None = None
    handoff: Handoff | None = None
    config: ReflectorConfig
    metrics: Metrics
    scratch: memoryview

    def serve(self, accepted: Accepted) -> None:
        """Go on with a connection that another worker has accepted. Call in a greenlet of the connection's own."""
        Handler(accepted.sock, accepted.address, self, accepted).handle()


class Handler(UpgradeHandler):
    """Serves one connection. The application finds it in the environ, under `medusa.handler`.

    Attributes:
        accepted: the connection.
    """

    def __init__(self, sock: Any, address: Any, server: HttpFront, accepted: Accepted | None = None) -> None:
        """`accepted`: None if this process has just accepted the connection."""
        self.accepted = accepted or Accepted(HTTP, sock, address)
        super().__init__(sock, address, server, io.BytesIO())
        server.logger = QUIET  # type: ignore[attr-defined]

    @property
    def socket(self) -> Any:
        """The connection, for pywsgi; None if it was taken."""
        return self.accepted.sock

    @socket.setter
    def socket(self, sock: Any) -> None:
        self.accepted.sock = sock

    def read_requestline(self) -> str:
        """For pywsgi."""
        return PLAIN_REQUEST

    def read_request(self, raw_requestline: str) -> bool:
        """For pywsgi: what it would find in such a request."""
        self.command, self.path, self.request_version = raw_requestline.split()
        self.headers = NO_HEADERS
        self.content_length = None
        self.close_connection = True
        return True

    def handle(self) -> None:
        """Serve the connection to its end. The server calls it in a greenlet of the connection's own."""
        metrics, timeouts = self.server.metrics, self.server.config.timeouts
        if not self.accepted.handed_over:
            metrics.accepted()
        metrics.handlers += 1
        try:
            if self._read_request() and not self._handed_over():
                self.socket.settimeout(timeouts.answer_timeout)
                self.handle_one_request()
        except TlsError as error:
            log.info("handshake failed", client=self.accepted.client, reason=printable(str(error.strerror)))
        except OSError:
            pass  # the peer is gone
        finally:
            if not self.accepted.taken:
                hang_up(self.socket, timeouts.linger_timeout)
            metrics.handlers -= 1

    def get_environ(self) -> Any:
        """The environ of WSGI, and this handler."""
        environ = super().get_environ()
        environ["medusa.handler"] = self
        return environ

    def upgrade(self, key: str) -> RelayedTransport:
        """Answer the request with 101, and make the link. `key`: from check_upgrade. Raises OSError."""
        self.write_101(key)
        accepted, server = self.accepted, self.server
        return adopt_websocket(accepted.take(), accepted.rest, server.config.max_message, server.scratch)

    def _read_request(self) -> bool:
        accepted, config = self.accepted, self.server.config
        try:
            with head_timeout(config.timeouts.head_timeout, 408):
                if not accepted.handed_over:
                    accepted.data = self._decrypt(read_first_bytes(accepted, config))
                if not read_head(accepted):
                    return False
            parse_head(accepted, config)
        except HandshakeError as error:
            self._refuse(error)
            return False
        return True

    def _handed_over(self) -> bool:
        """True if another worker serves the connection from now on, or should, but does not take it."""
        handoff, request = self.server.handoff, self.accepted.request
        assert request is not None
        named = parse_path(request.target.partition("?")[0])
        if handoff is None or self.accepted.handed_over or named is None:
            return False
        try:
            return bool(handoff.hand_over(self.accepted, *named))
        except HandshakeError as error:
            self._refuse(error)
            return True

    def _decrypt(self, data: bytes) -> bytes:
        """Do the TLS handshake that begins with `data`, if TLS is spoken here. Returns the first bytes of the head."""
        certificate = self.server.certificate
        if not data:  # a port scan sends nothing
            return data
        if (data[0] == HANDSHAKE) is (certificate is None):
            scheme = "https" if certificate else "http"
            raise HandshakeError(400, "%s is spoken here, and this was not: ask with %s://" % (scheme, scheme))
        if certificate is None:
            return data
        secure = TlsSocket(self.socket, Tls(certificate.context))
        try:
            secure.handshake(data)
        except (OSError, HandshakeError) as error:  # the latter is the timeout; no plain text can be sent any more
            raise TlsError(getattr(error, "strerror", None) or str(error)) from None
        self.socket = secure
        return secure.recv(RECORD)

    def _refuse(self, error: HandshakeError) -> None:
        log.info("request refused", client=self.accepted.client, status=error.http_status, reason=str(error))
        self.server.metrics.refused(error.http_status)
        body = (str(error) + "\n").encode()
        more = "".join("%s: %s\r\n" % header for header in error.headers)
        head = "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n"
        reason = HTTPStatus(error.http_status).phrase
        self.socket.sendall((head % (error.http_status, reason, len(body), more)).encode() + body)

    def log_request(self) -> None:
        """Not pywsgi's own line, which carries raw bytes of the request."""

    def log_error(self, msg: str, *args: Any) -> None:
        """pywsgi's complaints."""
        log.error("request failed", client=self.accepted.client, error=printable(msg % args if args else msg))

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """An exception of the application: a bug, or a peer that is gone."""
        if not isinstance(v, OSError):
            log.error("request failed", client=self.accepted.client, exc_info=(t, v, tb))
            if not self.headers_sent:
                self._refuse_quietly()
        self.close_connection = True

    def _refuse_quietly(self) -> None:
        answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        try:
            self.socket.sendall(answer)
        except OSError:
            pass


def head_timeout(seconds: float, status: int) -> gevent.Timeout:
    """Raises HandshakeError, with `status`, in its block if a head is not whole after so many seconds."""
    return gevent.Timeout(seconds, HandshakeError(status, "no whole request head in %g s" % seconds))


def read_head(accepted: Accepted) -> bool:
    """Read up to the end of the head, which becomes the connection's. Call within `head_timeout`.

    Returns False if the stream ends first.

    Raises:
        HandshakeError: it is not HTTP, or too long.
        OSError
    """
    reader = HeadReader()
    data = accepted.data or accepted.receive()
    while data:
        if is_greeting(accepted.data[:GREETING_START]):
            raise HandshakeError(400, "HTTP is spoken here, not raw TCP: that has a port of its own, --raw-port")
        found = reader.feed(data)
        if found is not None:
            accepted.head, accepted.rest = found
            return True
        data = accepted.receive()
    if not reader.empty:
        log.info("request refused", client=accepted.client, status=400, reason="the head ended early")
    return False


def parse_head(accepted: Accepted, config: ReflectorConfig) -> None:
    """Parse the head that was read, and find out whose request it is. Raises HandshakeError."""
    accepted.request = parse_request(accepted.head)
    accepted.forwarded_for = client_of(accepted.address[0], accepted.request.headers, config.trusted_proxy)
    accepted.source = source_of(accepted.host, config)
    if has_body(accepted.request.headers):
        raise HandshakeError(400, "no request here has a body")
