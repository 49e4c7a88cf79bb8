"""Any door: a connection for a session that lives in another reflector is carried there.

The owner is sent a head of ours, which proves who carries it and says for whom, and behind that all that was read of
the peer, as it came. It answers the peer itself; from then on bytes are passed on (tunnel.py). A request that was
carried is answered where it is, so none goes round in circles.
"""

from __future__ import annotations

import ssl
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import gevent.event
import structlog
from gevent import socket

from medusa.directory import Owner
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.registry import Refused
from medusa.reflector.site import HEADER, Passenger, Site
from medusa.reflector.tunnel import Tunnel
from medusa.reflector.turns import Turns
from medusa.reflector.wsgi import PlainSocket, prepare
from medusa.transports.tls import Tls, TlsSocket, over

if TYPE_CHECKING:
    from medusa.reflector.wsgi import Handler

log = structlog.get_logger(component="upstream")

PATH = "/carried"

CONNECT_TIMEOUT = 3.0
"""Seconds for a connection to another reflector, with its TLS."""

ANSWER_TIMEOUT = 10.0
"""Seconds that the owner has to answer: it may have to be asked for a directory that is slow."""

_STATUS = len("HTTP/1.1 101")


class Upstream:
    """The way to the other reflectors of the site."""

    def __init__(self, config: ReflectorConfig, site: Site, turns: Turns) -> None:
        self._site = site
        self._turns = turns
        self._patience = 3 * config.keepalive
        self._context = _context(config.tls_cert)
        self._tunnels: set[Tunnel] = set()
        self._empty = gevent.event.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._tunnels)

    def carry(self, handler: Handler, owner: Owner, login: str) -> None:
        """Give the connection to `owner`, which answers it; `login` was let in here.

        Raises:
            Refused: 503 the owner cannot be reached, and nothing was answered; or with the status of its refusal, which
                it has told the peer itself.
        """
        passenger = Passenger(login, handler.client_address[:2])
        try:
            sock, answer = self._ask(handler, owner, passenger)
        except OSError as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            log.warning("reflector not reached", to=owner.address, client=handler.peer, error=reason)
            raise Refused(503, "the reflector that the session lives in does not answer", retry_after=5) from None
        status = int(answer[_STATUS - 3 : _STATUS])
        self._join(handler, sock, answer)
        if status != 101:
            raise Refused(status, "refused by " + owner.address)
        log.info("carried", to=owner.address, client=handler.peer)

    def wait_until_empty(self, timeout: float) -> None:
        """Until nothing is carried any more, at the most `timeout` seconds."""
        self._empty.wait(timeout)

    def stop(self) -> None:
        """End all that is carried."""
        for tunnel in list(self._tunnels):
            tunnel.end()

    def _ask(self, handler: Handler, owner: Owner, passenger: Passenger) -> tuple[Any, bytes]:
        """(the connection to the owner, the beginning of its answer)."""
        proof = self._site.sign(handler.head, passenger)
        host = urllib.parse.urlsplit(owner.address).netloc
        head = "GET %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n" % (PATH, host, HEADER, proof)
        sock = self._connect(owner.address)
        try:
            sock.settimeout(ANSWER_TIMEOUT)
            sock.sendall(head.encode("latin-1") + handler.read_so_far)
            answer = b""
            while len(answer) < _STATUS:
                data = sock.recv(4096)
                if not data:
                    raise OSError("it hung up")
                answer += data
            if not answer.startswith(b"HTTP/1.1 ") or not answer[_STATUS - 3 : _STATUS].isdigit():
                raise OSError("it does not speak HTTP")
        except BaseException:
            sock.close()
            raise
        return sock, answer

    def _connect(self, address: str) -> Any:
        parts = urllib.parse.urlsplit(address)
        deadline = time.monotonic() + CONNECT_TIMEOUT
        sock = socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_TIMEOUT)
        try:
            prepare(sock)
            if parts.scheme != "https":
                return sock
            secure = TlsSocket(sock, Tls(self._context, parts.hostname))
            secure.handshake(deadline=deadline)
        except BaseException:
            sock.close()
            raise
        return secure

    def _join(self, handler: Handler, sock: Any, answer: bytes) -> None:
        tls = sock.tls if isinstance(sock, TlsSocket) else None
        plain = PlainSocket(fileno=sock.detach())
        outer, _ = handler.take_socket()  # what was read of it has been sent
        streams = over(outer), over(plain if tls is None else TlsSocket(plain, tls))
        tunnel = Tunnel(self._turns, streams, answer, self._patience, self._forget)
        if not tunnel.over:
            self._tunnels.add(tunnel)
            self._empty.clear()

    def _forget(self, tunnel: Tunnel) -> None:
        self._tunnels.discard(tunnel)
        if not self._tunnels:
            self._empty.set()


def _context(certificate: str | None) -> ssl.SSLContext:
    """Trusts what the system trusts, and this reflector's own certificate: a site's reflectors may share one."""
    context = ssl.create_default_context()
    if certificate is not None:
        context.load_verify_locations(certificate)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context
