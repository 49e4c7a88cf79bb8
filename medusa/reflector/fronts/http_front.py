"""Accepts HTTP connections: reads the head of one request on each, then lets pywsgi run the application.

pywsgi has no time limit for a head, and accepts ambiguous heads. So this module reads and checks the head, and pywsgi
never sees it. No connection is kept alive for a second request. Bytes that follow the head can only be the first bytes
of a websocket.
"""

from __future__ import annotations

import io
import time
from typing import Any, Protocol

import structlog
from gevent.pywsgi import Input, WSGIServer

from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.doorkeeper import WORDS, Doorkeeper, wait_for_turn
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.fronts.request_head import head_timeout, parse_head, read_head
from medusa.reflector.fronts.startups import RETRY_AFTER, Dropped, Startup
from medusa.reflector.fronts.tls_handshake import decrypt
from medusa.reflector.fronts.upgrade import UpgradeHandler
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accept import PausingServer
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.certificate import Certificate
from medusa.reflector.net.http_response import Answer, build_fields, build_head, status_line
from medusa.reflector.net.listen import HTTP
from medusa.reflector.net.proxy_protocol import read_first_bytes
from medusa.reflector.net.sockets import AcceptedSocket, hang_up
from medusa.reflector.session_name import SessionName, parse_path, parse_session_path
from medusa.session import Side
from medusa.transports.adopt import adopt_websocket
from medusa.transports.relayed import RelayedTransport
from medusa.transports.tls import RECORD, TlsError

log = structlog.get_logger(component="http")

DROPPED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: %d\r\nConnection: close\r\n\r\n"
DROPPED %= RETRY_AFTER
"""The answer for a peer that is dropped before anything was read from it."""

PLAIN_REQUEST = "GET / HTTP/1.1"
"""The request line that pywsgi gets in place of the real one. pywsgi would parse the real head by other rules."""

NOTHING: Any = io.BytesIO()
NO_BODY = Input(NOTHING, 0)
"""The body of every request, for pywsgi, and the file that it is read from."""

FAILED: Answer = (500, [], b"")
"""The answer after a bug."""


class Handoff(Protocol):
    """The interface for handing connections over to other workers; see medusa.reflector.workers.handoff."""

    def hand_over(self, accepted: Accepted, name: SessionName, side: Side) -> bool:
        """Hands a connection over to the worker that owns the session `name`. Returns False if this worker owns it.

        Args:
            side: the side of the session to which the peer wants to attach: client or agent.

        Raises:
            HandshakeError: 503, the other worker does not take the connection.
        """


class HttpFront(PausingServer, WSGIServer):
    """The server for HTTP connections.

    Attributes:
        certificate: the certificate for TLS. None if connections are not encrypted.
        handoff: hands connections over to other workers. None if there are no others.
        config, metrics: the configuration and the metrics of the reflector.
        doorkeeper: counts the connections whose peers have not identified themselves.
        refusals: limits the number of log lines.
        scratch: the buffer that links read into; see RelayedTransport.
    """

    certificate: Certificate | None = None
    handoff: Handoff | None = None
    config: ReflectorConfig
    metrics: Metrics
    doorkeeper: Doorkeeper
    refusals: RefusalLog
    scratch: memoryview

    def let_in(self, sock: Any, address: tuple[Any, ...]) -> Startup | None:
        """Counts an accepted connection. Returns the Startup that counts it, or None if the connection was dropped."""
        return self.doorkeeper.admit(sock, address, b"" if self.certificate else DROPPED)

    def handle(  # type: ignore[override]
        self, sock: Any, address: tuple[Any, ...], startup: Startup | None = None
    ) -> None:
        """Serves a connection to its end. The server calls this in a new greenlet.

        `startup`: counts the connection until its peer has identified itself.
        """
        Handler(sock, address, self, Accepted(HTTP, sock, address, startup=startup)).handle()

    def serve(self, accepted: Accepted) -> None:
        """Serves a connection that another worker has accepted and handed over. Call this in a new greenlet."""
        if self.doorkeeper.take_over(accepted, DROPPED):
            Handler(accepted.sock, accepted.address, self, accepted).handle()


class Handler(UpgradeHandler):
    """Handles one HTTP connection. The application finds this object in the WSGI environ, under `medusa.handler`.

    Attributes:
        accepted: the connection, with all that is known about it.
    """

    # What pywsgi would set from a request.
    command, path, request_version = PLAIN_REQUEST.split()
    close_connection = True
    wsgi_input = NO_BODY

    def __init__(self, sock: Any, address: Any, server: HttpFront, accepted: Accepted) -> None:
        """Takes the connection `accepted`. `sock` and `address` are parts of it, which pywsgi needs as well."""
        self.accepted = accepted
        super().__init__(sock, address, server, NOTHING)

    @property
    def socket(self) -> Any:
        """The connection's socket, for pywsgi. None after a link, or another process, has taken the connection."""
        return self.accepted.sock

    @socket.setter
    def socket(self, sock: Any) -> None:
        self.accepted.sock = sock

    def read_requestline(self) -> str:
        """Returns the same constant request line for each request, because the real one has already been read."""
        return PLAIN_REQUEST

    def read_request(self, raw_requestline: str) -> bool:
        """Returns True to tell pywsgi that the request is valid. `handle` has read and checked the real one."""
        return True

    def get_environ(self) -> Any:
        """Returns the environ of WSGI: the server's values, and this handler under the key `medusa.handler`."""
        environ = self.server.get_environ()
        environ["medusa.handler"] = self
        return environ

    def handle(self) -> None:
        """Serves the connection to its end. HttpFront calls this in the connection's greenlet."""
        metrics, timeouts = self.server.metrics, self.server.config.timeouts
        if not self.accepted.handed_over:
            metrics.accepted()
        metrics.handlers += 1
        try:
            if self._read_request() and not self._handed_over():
                self.accepted.sock.settimeout(timeouts.answer_timeout)
                self.handle_one_request()
        except Dropped as error:
            self.server.doorkeeper.drop(error, self.accepted.sock, self.accepted.host)
        except TlsError as error:
            more = self.server.refusals.fields("handshake", self.accepted.host)
            if more is not None:
                reason = printable(str(error.strerror))
                log.info("handshake failed", client=self.accepted.client, reason=reason, **more)
        except OSError:
            pass  # the peer is gone
        finally:
            if not self.accepted.taken:
                hang_up(self.accepted.sock, timeouts.linger_timeout)
            self.accepted.identified()
            metrics.handlers -= 1
            self.environ = None  # it has this handler: only the garbage collector would free both

    def upgrade(self, key: str, more: bool = False) -> RelayedTransport:
        """Answers the request with 101, which upgrades it to a websocket. Returns the transport. Raises OSError.

        Args:
            key: the websocket key that check_upgrade has returned.
            more: True if a message follows at once. Then the answer and the message may leave in one packet. Ignored if
                the answer gives the peer a ticket.
        """
        accepted, server = self.accepted, self.server
        self.write_101(key, accepted.granted, more and not accepted.granted)
        return adopt_websocket(accepted.take(), accepted.rest, server.config.max_message, server.scratch)

    def log_request(self) -> None:
        """Does nothing, because pywsgi's own log line would contain raw bytes of the request."""

    def log_error(self, msg: str, *args: Any) -> None:
        """Logs an error that pywsgi has found."""
        log.error("request failed", client=self.accepted.client, error=printable(msg % args if args else msg))

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """Logs an exception of the application as a bug, and answers 500. Ignores an OSError: the peer is gone."""
        if isinstance(v, OSError):
            return
        log.error("request failed", client=self.accepted.client, exc_info=(t, v, tb))
        if not self.accepted.taken and not self.headers_sent:
            self.start_response(status_line(FAILED[0]), build_fields(FAILED, time.time()))
            self.write(FAILED[2])

    def _read_request(self) -> bool:
        accepted, config = self.accepted, self.server.config
        try:
            first = self._first_bytes_now()
            if b"\r\n\r\n" in (first or accepted.data) and not self.server.is_crowded():
                whole = self._read_head(first)  # it waits for nothing, so it needs no time limit
            else:
                with head_timeout(config.timeouts.head_timeout, 408):
                    whole = self._read_head(first)
            if not whole:
                self._note_early_end()
                return False
            parse_head(accepted, config)
            if accepted.forwarded_for is not None:
                self._name_client()
        except HandshakeError as error:
            self._refuse(error)
            return False
        return True

    def _first_bytes_now(self) -> bytes:
        """Reads the first bytes of a plain connection if they have come already. Returns b"" if nothing was read."""
        sock, server = self.accepted.sock, self.server
        if self.accepted.handed_over or server.certificate or server.config.proxy_protocol:
            return b""
        return sock.recv_now(RECORD) if isinstance(sock, AcceptedSocket) else b""

    def _read_head(self, first: bytes) -> bool:
        """Reads up to the end of the head; see read_head. `first`: what `_first_bytes_now` has read."""
        accepted, server = self.accepted, self.server
        data = first or accepted.data or read_first_bytes(accepted, server.config, server.doorkeeper.name_client)
        try:
            wait_for_turn(server.admit)
        except HandshakeError as error:
            if server.certificate is None or accepted.handed_over:
                raise
            raise TlsError(str(error)) from None  # an answer in plain text would say that this port has no TLS
        if not accepted.handed_over:
            accepted.keep(decrypt(accepted, server.certificate, data))
        return read_head(accepted)

    def _note_early_end(self) -> None:
        """Logs that the stream ended within the head. Logs nothing if the peer sent no byte, as a port scan does."""
        more = self.server.refusals.note(400, self.accepted.host) if self.accepted.data else None
        if more is not None:
            line = {"status": 400, "reason": "the head ended early", **more}
            log.info("request refused", client=self.accepted.client, **line)

    def _name_client(self) -> None:
        """Counts the connection under the address that X-Forwarded-For names.

        Raises HandshakeError (429) if too many connections from this address have not identified themselves.
        """
        try:
            self.server.doorkeeper.name_client(self.accepted)
        except Dropped as error:
            self.server.doorkeeper.note(error, self.accepted.host)
            raise HandshakeError(429, WORDS[error.why], (("Retry-After", str(RETRY_AFTER)),)) from None

    def _handed_over(self) -> bool:
        """Hands the connection over to another worker, if the request names a session of that worker.

        The request names a session if it asks to attach to the session, or to end it.

        Returns False if this worker has to serve the connection. Returns True if another worker now has the connection,
        or if the handover failed and the peer has got a refusal.
        """
        handoff, request = self.server.handoff, self.accepted.request
        if handoff is None or self.accepted.handed_over:
            return False
        assert request is not None
        path = request.target.partition("?")[0]
        named = parse_path(path)
        if request.method == "DELETE" and (name := parse_session_path(path)) is not None:
            named = name, Side.AGENT  # so one worker gets all such requests, and remembers their signatures
        if named is None:
            return False
        try:
            return bool(handoff.hand_over(self.accepted, *named))
        except HandshakeError as error:
            self._refuse(error)
            return True

    def _refuse(self, error: HandshakeError) -> None:
        more = self.server.refusals.note(error.http_status, self.accepted.host)
        if more is not None:
            line = {"status": error.http_status, "reason": printable(str(error)), **more}
            log.info("request refused", client=self.accepted.client, **line)
        body = (str(error) + "\n").encode()
        about = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        headers = [*about, *error.headers, ("Connection", "close")]
        self.accepted.sock.sendall(build_head(status_line(error.http_status), headers) + body)
