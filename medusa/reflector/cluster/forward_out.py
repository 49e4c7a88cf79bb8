"""Forwards a peer to the owner: the reflector that owns the peer's session. So a peer may connect to any reflector.

A peer is an agent, or a client that joins a session. First this reflector sends the owner a request head. This head
proves that a reflector has sent it, and names the peer's address. Then come all bytes that were read from the peer,
unchanged. The owner's answer is passed on to the peer. From then on byte_proxy copies the bytes. A reflector does not
forward a request that another reflector has forwarded, so no request goes in a circle.
"""

from __future__ import annotations

import ssl
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent
import gevent.event
import gevent.select
import structlog
from gevent import monkey, socket

from medusa.directory import Owner
from medusa.reflector.auth.single_use import ReservedMark
from medusa.reflector.cluster.byte_proxy import open_byte_proxy
from medusa.reflector.cluster.peer_auth import FORWARD_HEADER, Origin, PeerAuth
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.buffers.long_links import links as long_links
from medusa.reflector.net.client_address import site
from medusa.reflector.net.fd_limit import check_room
from medusa.reflector.net.listen import prepare
from medusa.reflector.net.sockets import host_port, ungreen
from medusa.reflector.refusal import Refusal, Unreachable, shutting_down
from medusa.reflector.relay.budget import Budget, Share
from medusa.reflector.relay.byte_link import ByteLink, Patience
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.owner_answer import ACCEPTED, pass_on_refusal, read_start
from medusa.reflector.session_name import CARRIED, SessionName, attach_path_of
from medusa.reflector.tickets.desk import PRIVATE_DOOR
from medusa.session import Side
from medusa.transports.dial import ConnectRefused, remaining
from medusa.transports.dial.race import Address
from medusa.transports.dial.target import ip_address
from medusa.transports.dial.tcp import connect_any
from medusa.transports.steps import run
from medusa.transports.tls import Buffers, Tls, TlsSocket, client_context, stream_over

log = structlog.get_logger(component="forward_out")
_Place = tuple[SessionName, Side]

_getaddrinfo = monkey.get_original("socket", "getaddrinfo")
"""The lookup of the standard library, which blocks, and needs no other thread as gevent's does."""


class Carried(NamedTuple):
    """A connection that is forwarded to the reflector `owner`, for the session `name`.

    Attributes:
        client: the peer's address.
        holds: True if the peer has announced the feature `hold`: it comes back by itself if its connection is lost.
    """

    owner: Owner
    name: SessionName
    client: str
    holds: bool


class ForwardOut:
    """Forwards peers to the other reflectors of the site, which own the peers' sessions.

    Attributes:
        announce_drain: tells the owner of a session that this reflector stops; see QueryClient.announce_drain.

    Args:
        queue: the event loop's fair queue.
        budget: counts the memory that peers make this process hold.
        refusals: limits the number of log lines about reflectors that are not reached.
    """

    announce_drain: Callable[[Owner, SessionName, str, float], bool] = staticmethod(lambda *_: False)

    def __init__(
        self, config: ReflectorConfig, auth: PeerAuth, queue: FairQueue, budget: Budget, refusals: RefusalLog
    ) -> None:
        self._auth = auth
        self._queue = queue
        self._budget = budget
        self._refusals = refusals
        self._stall_timeout = 3 * config.keepalive
        self._timeouts = config.timeouts
        self._context = _context(config.tls_cert)
        self._buffers: Buffers = (ssl.MemoryBIO(), ssl.MemoryBIO())
        self._links: dict[ByteLink, Carried] = {}
        self._ends_at: float | None = None  # the time.monotonic() at which the drain ends; None: no drain
        self._owners_told = self._over = False
        self._asking = 0
        self._empty = gevent.event.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._links)

    def forward(
        self, accepted: Accepted, owner: Owner, name: SessionName, side: Side, reserved: ReservedMark | None
    ) -> Refusal | None:
        """Forwards a peer that was admitted here to `owner`, the reflector that holds the session `name`.

        The owner answers the peer. Returns None if the owner has accepted the peer. Otherwise returns the refusal that
        the owner has sent to the peer.

        Args:
            side: the side of the session to which the peer wants to attach.
            reserved: the reservation of the peer's signature, which the owner confirms. None if the peer needs none.

        Raises:
            Unreachable: the owner cannot be connected to. The peer has received no answer yet.
            Refusal: 503, the owner does not answer, or this reflector stops. The peer has received no answer yet.
        """
        late = self._ends_at is not None and time.monotonic() > self._ends_at - self._timeouts.close_timeout
        if self._over or late:  # it would be cut off at once, or before its end could pass
            raise shutting_down()
        self._asking += 1
        self._empty.clear()
        try:
            return self._forward(accepted, owner, (name, side), reserved)
        finally:
            self._asking -= 1
            self._check_empty()

    def _forward(
        self, accepted: Accepted, owner: Owner, place: _Place, reserved: ReservedMark | None
    ) -> Refusal | None:
        client, (name, side) = host_port(accepted.origin), place
        try:
            sock = self.connect(owner.address)
        except OSError as error:
            raise self._not_reached(Unreachable, error, accepted, owner) from None
        try:
            answer, status = self._ask(sock, accepted, owner, place, reserved)
        except OSError as error:
            raise self._not_reached(Refusal, error, accepted, owner) from None
        if status not in ACCEPTED:
            pass_on_refusal(sock, accepted, answer, self._timeouts)
            return Refusal(status, "refused by " + owner.address)
        share = self._budget.share(login=name.login, address=site(accepted.host))
        self._join(accepted, sock, answer, share, Carried(owner, name, client, accepted.holds))
        log.info("carried", to=owner.address, client=client, session=name.session_id, login=name.login, side=side.value)
        return None

    def _not_reached(self, kind: type[Refusal], error: OSError, accepted: Accepted, owner: Owner) -> Refusal:
        """Logs that the reflector `owner` was not reached. Returns the refusal for the peer, of the type `kind`."""
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        more = self._refusals.fields("not reached", accepted.host)
        if more is not None:
            client = host_port(accepted.origin)
            log.warning("reflector not reached", to=owner.address, client=client, error=reason, **more)
        return kind(503, "the reflector that the session lives in does not answer", retry_after=5)

    def drain(self, ends_at: float) -> None:
        """Prepares the end of this reflector at `ends_at`, a time.monotonic(). Does not block.

        If a forwarded peer has announced the feature `hold`, ends its connection now. Such a peer comes back by another
        reflector.

        For each other forwarded peer, tells the owner of the peer's session that this reflector stops. The owner tells
        the user, and ends the peer's pair of client and agent before `ends_at`. `forward` refuses peers near that time.
        """
        self._ends_at = ends_at
        for link, carried in list(self._links.items()):
            self._drain(link, carried)

    def _drain(self, link: ByteLink, carried: Carried) -> None:
        if carried.holds:
            link.end()
        else:
            gevent.spawn(self._tell, *carried[:3])

    def wait_until_empty(self, timeout: float, grace: float = 0.0) -> None:
        """Waits until no connection is forwarded any more, at most `timeout` seconds. Then `forward` refuses all peers.

        Args:
            grace: further seconds to wait for the last bytes of sessions, if an owner has agreed to end them in time.
        """
        if self._links:
            log.info("draining", carried=len(self._links), timeout_s=round(timeout, 1))
        with gevent.Timeout(timeout, False):  # type: ignore[arg-type]
            while self._links or self._asking:  # the next peer may be forwarded before the event wakes this greenlet
                self._empty.clear()
                self._empty.wait()
        if (self._links or self._asking) and self._owners_told:
            self._empty.wait(grace)
        self._over = True

    def _tell(self, owner: Owner, name: SessionName, peer: str) -> None:
        assert self._ends_at is not None
        self._owners_told |= self.announce_drain(owner, name, peer, self._ends_at - time.monotonic())

    def stop(self) -> None:
        """Ends all forwarded connections. Then `forward` refuses all peers."""
        self._over = True
        for link in list(self._links):
            link.end()

    def _ask(
        self, sock: Any, accepted: Accepted, owner: Owner, place: _Place, reserved: ReservedMark | None
    ) -> tuple[bytes, int]:
        """Asks the owner, over the connection `sock`, to attach the peer. Closes the connection if this fails.

        Returns the first bytes of the owner's answer, and the answer's HTTP status.
        """
        target = CARRIED + attach_path_of(*place)
        origin = Origin(accepted.kind, *accepted.origin)
        by_leg = bool(accepted.leg)
        proof = self._auth.sign_forward(target, accepted.head, origin, owner.address, reserved, by_leg=by_leg)
        host = urllib.parse.urlsplit(owner.address).netloc
        door = "%s: 1\r\n" % PRIVATE_DOOR if accepted.private else ""
        head = "GET %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n%s\r\n" % (target, host, FORWARD_HEADER, proof, door)
        try:
            check_room(sock.fileno())
            sock.settimeout(self._timeouts.forward_answer_timeout)
            sock.sendall(head.encode("latin-1") + accepted.data)
            return read_start(sock, accepted.kind)
        except BaseException:
            sock.close()
            raise

    def connect(self, address: str) -> Any:
        """Returns a connection to the reflector at `address`, with TLS if the address is an https URL.

        Raises:
            OSError: the reflector cannot be reached within `connect_timeout`.
            ValueError: `address` is not the URL of a reflector.
        """
        parts = urllib.parse.urlsplit(address)
        deadline = time.monotonic() + self._timeouts.connect_timeout
        sock = _connect(parts.hostname or "", parts.port or 0, deadline)
        try:
            prepare(sock)
            secure = None
            if parts.scheme == "https":
                secure = TlsSocket(sock, Tls(self._context, parts.hostname, self._buffers))
                run(secure.handshake_steps(deadline), gevent.select.poll)
            sock.settimeout(remaining(deadline))
        except BaseException:
            sock.close()
            raise
        return secure or sock

    def _join(self, accepted: Accepted, sock: Any, answer: bytes, share: Share, carried: Carried) -> None:
        tls = sock.tls if isinstance(sock, TlsSocket) else None
        plain = ungreen(sock)
        long_links.fit(plain)
        outer = stream_over(accepted.take())  # all bytes that were read from it are sent
        inner = stream_over(plain if tls is None else TlsSocket(plain, tls))
        patience = Patience(self._stall_timeout, self._timeouts.close_timeout, self._timeouts.unread_timeout)
        link = open_byte_proxy(self._queue, (outer, inner), answer, patience, accepted.plain, self._forget, share)
        if not link.over:
            self._links[link] = carried
            if self._ends_at is not None:
                self._drain(link, carried)

    def _forget(self, link: ByteLink) -> None:
        self._links.pop(link, None)
        self._check_empty()

    def _check_empty(self) -> None:
        if not self._links and not self._asking:
            self._empty.set()


def _connect(host: str, port: int, deadline: float) -> Any:
    """Returns a connection to the first address of `host` that answers. Raises OSError if none answers in time.

    `deadline`: the time.monotonic() until which to try.
    """
    if ip_address(host):  # no name has to be looked up, so nothing can block
        found = _getaddrinfo(host, port, type=socket.SOCK_STREAM)
    else:
        with gevent.Timeout(remaining(deadline), socket.timeout("the lookup of the name timed out")):
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
    try:
        steps = connect_any(addresses, "%s:%d" % (host, port), deadline, new_socket=socket.socket)
        return run(steps, gevent.select.poll)
    except ConnectRefused as error:
        raise OSError(str(error)) from None


def _context(certificate: str | None) -> ssl.SSLContext:
    """Returns a TLS context that trusts the system's certificate authorities and this reflector's own certificate.

    Its own certificate is trusted because all reflectors of a site may share one certificate.
    """
    context = client_context()
    if certificate is not None:
        context.load_verify_locations(certificate)
    return context
