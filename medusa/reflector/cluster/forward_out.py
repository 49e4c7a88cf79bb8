"""Any door: a connection for a session that lives in another reflector is carried there.

The owner is sent a head of ours, which proves who carries it and says for whom, and behind that all that was read of
the peer, as it came. It answers the peer itself; from then on bytes are passed on (byte_proxy.py). A request that was
carried is answered where it is, so none goes round in circles.
"""

from __future__ import annotations

import re
import ssl
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent.event
import structlog
from gevent import socket

from medusa.directory import Owner
from medusa.reflector.cluster.byte_proxy import open_byte_proxy
from medusa.reflector.cluster.peer_auth import HEADER, Note, Site
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.http_front import host_port, ungreen
from medusa.reflector.net.listen import HTTP, RAW, prepare
from medusa.reflector.refusal import Refusal
from medusa.reflector.relay.byte_link import ByteLink
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.session_name import CARRIED, SessionName, path_of
from medusa.session import Side
from medusa.transports.tls import Tls, TlsSocket, stream_over

log = structlog.get_logger(component="upstream")

_ANSWERS = {HTTP: re.compile(rb"HTTP/1\.1 ([0-9]{3})"), RAW: re.compile(rb"(?:ERR ([0-9]{3})|OK)")}
_ACCEPTED = {HTTP: 101, RAW: 0}
_ENOUGH = len(b"HTTP/1.1 101")


class Traveller(NamedTuple):
    """A connection that may be carried.

    Attributes:
        kind: HTTP or RAW: what it speaks.
        head: of its request, or its greeting.
        whole: all that was read of it, as it came.
        address: of the peer.
        take: gives the connection, which is then nobody else's.
        halves: each direction has an end of its own.
    """

    kind: str
    head: bytes
    whole: bytes
    address: tuple[Any, ...]
    take: Callable[[], Any]
    halves: bool = False


class Upstream:
    """The way to the other reflectors of the site."""

    def __init__(self, config: ReflectorConfig, site: Site, turns: FairQueue) -> None:
        self._site = site
        self._turns = turns
        self._patience = 3 * config.keepalive
        self._timeouts = config.timeouts
        self._context = _context(config.tls_cert)
        self._links: set[ByteLink] = set()
        self._asking = 0
        self._empty = gevent.event.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._links)

    def carry(self, traveller: Traveller, owner: Owner, name: SessionName) -> Refusal | None:
        """Give the connection to `owner`, as an agent for `name`, for which it was let in here; the owner answers it.

        Returns the owner's refusal, which the peer has been told already; None if the owner has accepted.

        Raises:
            Refusal: 503, the owner cannot be reached, and nothing was answered.
        """
        self._asking += 1
        self._empty.clear()
        try:
            return self._carry(traveller, owner, name)
        finally:
            self._asking -= 1
            self._look_whether_empty()

    def _carry(self, traveller: Traveller, owner: Owner, name: SessionName) -> Refusal | None:
        client = host_port(traveller.address)
        try:
            sock, answer, status = self._ask(traveller, owner, name)
        except OSError as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            log.warning("reflector not reached", to=owner.address, client=client, error=reason)
            raise Refusal(503, "the reflector that the session lives in does not answer", retry_after=5) from None
        self._join(traveller, sock, answer)
        if status != _ACCEPTED[traveller.kind]:
            return Refusal(status, "refused by " + owner.address)
        log.info("carried", to=owner.address, client=client, session=name.session_id, login=name.login)
        return None

    def wait_until_empty(self, timeout: float) -> None:
        """Until nothing is carried any more, at the most `timeout` seconds."""
        if self._links:
            log.info("draining", carried=len(self._links), timeout_s=round(timeout, 1))
        self._empty.wait(timeout)

    def stop(self) -> None:
        """End all that is carried."""
        for link in list(self._links):
            link.end()

    def _ask(self, traveller: Traveller, owner: Owner, name: SessionName) -> tuple[Any, bytes, int]:
        """(the connection to the owner, the beginning of its answer, its status)."""
        target = CARRIED + path_of(name, Side.AGENT)
        proof = self._site.sign(target, traveller.head, Note(traveller.kind, *traveller.address[:2]))
        host = urllib.parse.urlsplit(owner.address).netloc
        head = "GET %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n" % (target, host, HEADER, proof)
        sock = self.connect(owner.address)
        try:
            sock.settimeout(self._timeouts.forward_answer_timeout)
            sock.sendall(head.encode("latin-1") + traveller.whole)
            answer = b""
            while (match := _ANSWERS[traveller.kind].match(answer)) is None:
                data = sock.recv(4096) if len(answer) < _ENOUGH else b""
                if not data:
                    raise OSError("not the answer of a reflector of this site")
                answer += data
        except BaseException:
            sock.close()
            raise
        return sock, answer, int(match[1] or 0)

    def connect(self, address: str) -> Any:
        """A connection to the reflector at `address`, within `connect_timeout`, behind TLS where it speaks that.

        Raises:
            OSError
            ValueError: that is no address.
        """
        parts = urllib.parse.urlsplit(address)
        deadline = time.monotonic() + self._timeouts.connect_timeout
        sock = socket.create_connection((parts.hostname or "", parts.port or 0), self._timeouts.connect_timeout)
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

    def _join(self, traveller: Traveller, sock: Any, answer: bytes) -> None:
        tls = sock.tls if isinstance(sock, TlsSocket) else None
        plain = ungreen(sock)
        outer = stream_over(traveller.take())  # what was read of it has been sent
        inner = stream_over(plain if tls is None else TlsSocket(plain, tls))
        patience = None if traveller.halves else self._patience
        link = open_byte_proxy(self._turns, (outer, inner), answer, patience, self._forget)
        if not link.over:
            self._links.add(link)

    def _forget(self, link: ByteLink) -> None:
        self._links.discard(link)
        self._look_whether_empty()

    def _look_whether_empty(self) -> None:
        if not self._links and not self._asking:
            self._empty.set()


def _context(certificate: str | None) -> ssl.SSLContext:
    """Trusts what the system trusts, and this reflector's own certificate: a site's reflectors may share one."""
    context = ssl.create_default_context()
    if certificate is not None:
        context.load_verify_locations(certificate)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context
