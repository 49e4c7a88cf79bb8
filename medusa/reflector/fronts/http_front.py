"""One request on one connection: the head read strictly and under a deadline, then pywsgi runs the application.

pywsgi alone has no deadline for a head and reads ambiguous ones; so the head is read and judged here, and pywsgi never
sees it. No connection is kept alive: what stands behind a request is an upgraded link's first bytes, or nothing.
"""

from __future__ import annotations

import io
import socket
import time
from http import HTTPStatus
from typing import Any

import gevent
import structlog
from gevent import monkey
from gevent.pywsgi import WSGIServer, headers_factory  # type: ignore[attr-defined]

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import HeadReader, Request, has_body, parse_request
from medusa.protocol.printable import printable
from medusa.protocol.raw.greeting import GREETING_START, is_greeting
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.upgrade import QUIET, UpgradeHandler
from medusa.reflector.metrics import Metrics
from medusa.reflector.net import client_address
from medusa.reflector.net.accept import PausingServer
from medusa.reflector.net.certificate import Certificate
from medusa.reflector.net.proxy_protocol import begin, source_of
from medusa.reflector.workers.handoff import Handoff
from medusa.transports.tls import RECORD, Tls, TlsError, TlsSocket

log = structlog.get_logger(component="http")

PlainSocket: Any = monkey.get_original("socket", "socket")
"""For links: gevent's own sockets cost two watchers each, and the splicer brings its own."""


PLAIN_REQUEST = "GET / HTTP/1.1"
NO_HEADERS = headers_factory(io.BytesIO(b"\r\n"))
"""What pywsgi is shown of any request: it would read the head once more, in its own way and within its own bounds."""

HANDSHAKE = 0x16
"""The first byte of every TLS connection: a record of this type (RFC 8446, section 5.1)."""


def host_port(address: tuple[Any, ...]) -> str:
    """host:port of a socket's address, an IPv6 host in brackets."""
    host, port = address[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


class Server(PausingServer, WSGIServer):
    """pywsgi's.

    Attributes:
        certificate: None where HTTP is spoken in plain.
        handoff: to the other workers, if there are any.
    """

    certificate: Certificate | None = None
    handoff: Handoff | None = None
    config: ReflectorConfig
    metrics: Metrics
    scratch: memoryview


class Handler(UpgradeHandler):
    """Runs the application with one more key in the environ: `medusa.handler`, which is this."""

    socket: Any  # None when it was taken
    client_address: tuple[Any, ...]

    def __init__(self, sock: Any, address: Any, server: Any, given: bytes = b"", *, proxied: bool = False) -> None:
        """`given`: what another process has read of the connection; behind TLS, if it is spoken. `proxied`: as Begun's,
        and `address` with it."""
        super().__init__(sock, address, server, io.BytesIO())
        server.logger = QUIET
        self.request: Request | None = None
        self.given = given
        self.proxied = proxied
        self.head = b""
        self.rest = b""

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
        """Called by the server, in a greenlet of the connection's own."""
        metrics = self.server.metrics
        if not self.given:
            metrics.accepted()
        metrics.handlers += 1
        try:
            if self._read_request() and not self._lives_elsewhere():
                self.socket.settimeout(self.server.config.timeouts.answer_timeout)
                self.handle_one_request()
        except TlsError as error:
            log.info("handshake failed", client=self.peer, reason=printable(str(error.strerror)))
        except OSError:
            pass  # the peer is gone
        finally:
            if self.socket is not None:
                hang_up(self.socket, self.server.config.timeouts.linger_timeout)
            self.__dict__.pop("socket", None)
            metrics.handlers -= 1

    def get_environ(self) -> Any:
        """WSGI's, and the strict head's."""
        environ = super().get_environ()
        environ["medusa.handler"] = self
        return environ

    def take_socket(self) -> tuple[socket.socket | TlsSocket, bytes]:
        """The connection without gevent, and what was read behind the head. pywsgi is done with it."""
        tls = self.socket.tls if isinstance(self.socket, TlsSocket) else None
        plain = ungreen(self.socket)
        self.socket = None
        return plain if tls is None else TlsSocket(plain, tls), self.rest

    @property
    def read_so_far(self) -> bytes:
        """The head and what was read behind it, as they came."""
        return self.head + b"\r\n\r\n" + self.rest

    @property
    def origin(self) -> tuple[str, int]:
        """Whose connection it is: the client's address, with the port of whoever is at the other end."""
        return self._client, self.client_address[1]

    def read_next(self) -> None:
        """Read the head that stands behind this one, in its place. Raises HandshakeError."""
        with self._head_timeout(400):
            if not self._read_head(self.rest or self.socket.recv(RECORD)):
                raise HandshakeError(400, "no request")
        self._parse_head()

    @property
    def peer(self) -> str:
        """The client's address for logs; without a port where a proxy's header field tells of it."""
        host = self._client
        return host_port(self.client_address) if host == self.client_address[0] else host

    @property
    def source(self) -> str | None:
        """Under what the client's connections are counted, if they are."""
        return source_of(self._client, self.server.config)

    @property
    def _client(self) -> str:
        host: str = self.client_address[0]
        if self.request is None:
            return host
        return client_address.client_of(host, self.request.headers, self.server.config.trusted_proxy)

    def _begin(self) -> bytes:
        """The first bytes of what the client sent, behind what a proxy did."""
        self.client_address, self.proxied, data = begin(self.socket, self.client_address, self.server.config)
        return data

    def _read_request(self) -> bool:
        try:
            with self._head_timeout(408):
                if not self._read_head(self.given or self._secure(self._begin())):
                    return False
            self._parse_head()
        except HandshakeError as error:
            self._refuse(error)
            return False
        return True

    def _head_timeout(self, status: int) -> gevent.Timeout:
        seconds = self.server.config.timeouts.head_timeout
        return gevent.Timeout(seconds, HandshakeError(status, "no whole request head in %g s" % seconds))

    def _parse_head(self) -> None:
        self.request = parse_request(self.head)
        if has_body(self.request.headers):
            raise HandshakeError(400, "no request here has a body")

    def _read_head(self, data: bytes) -> bool:
        """`data`: what was read already. False: the stream ended before a head was whole."""
        reader, start = HeadReader(), b""
        while data:
            start += data[: GREETING_START - len(start)]
            if is_greeting(start):
                raise HandshakeError(400, "HTTP is spoken here, not raw TCP: that has a port of its own, --raw-port")
            found = reader.feed(data)
            if found is not None:
                self.head, self.rest = found
                return True
            data = self.socket.recv(RECORD)
        if not reader.empty:
            log.info("request refused", client=self.peer, status=400, reason="the head ended early")
        return False

    def _lives_elsewhere(self) -> bool:
        """Whether the connection was handed to another worker, which judges it and all else; or could not be."""
        if self.server.handoff is None or self.given:
            return False
        try:
            return bool(self.server.handoff.hand_over(self))
        except HandshakeError as error:
            self._refuse(error)
            return True

    def _secure(self, data: bytes) -> bytes:
        """The TLS handshake that begins with `data`, where TLS is spoken. Returns the first bytes of the head."""
        certificate = self.server.certificate
        if not data:  # who looks whether a port is open says nothing
            return data
        if (data[0] == HANDSHAKE) is (certificate is None):
            scheme = "https" if certificate else "http"
            raise HandshakeError(400, "%s is spoken here, and this was not: ask with %s://" % (scheme, scheme))
        if certificate is None:
            return data
        secure = TlsSocket(self.socket, Tls(certificate.context))
        try:
            secure.handshake(data)
        except (OSError, HandshakeError) as error:  # the latter is the deadline's; no plain text can be sent any more
            raise TlsError(getattr(error, "strerror", None) or str(error)) from None
        self.socket = secure
        return secure.recv(RECORD)

    def _refuse(self, error: HandshakeError) -> None:
        log.info("request refused", client=self.peer, status=error.http_status, reason=str(error))
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
        log.error("request failed", client=self.peer, error=printable(msg % args if args else msg))

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """An exception of the application: a bug, or a peer that is gone."""
        if not isinstance(v, OSError):
            log.error("request failed", client=self.peer, exc_info=(t, v, tb))
            if not self.headers_sent:
                self._refuse_quietly()
        self.close_connection = True

    def _refuse_quietly(self) -> None:
        answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        try:
            self.socket.sendall(answer)
        except OSError:
            pass


def ungreen(sock: Any) -> socket.socket:
    """The connection without gevent, fit for a link; `sock` has it no more."""
    plain: socket.socket = PlainSocket(fileno=sock.detach())
    return plain


def hang_up(sock: Any, timeout: float) -> None:
    """End a connection so that the peer sees what was sent, and a FIN rather than a reset.

    Args:
        timeout: seconds to go on reading.
    """
    deadline = time.monotonic() + timeout
    try:
        sock.settimeout(timeout)
        sock.shutdown(socket.SHUT_WR)
        while time.monotonic() < deadline and sock.recv(65536):
            gevent.sleep(0)  # recv does not let others run while there is something to read
    except OSError:
        pass
    finally:
        sock.close()
