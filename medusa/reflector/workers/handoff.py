"""Sends each connection to the worker that owns its session, and takes over the connections that other workers send."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gevent
import gevent.event
import gevent.socket
import structlog
from gevent import monkey
from gevent.socket import wait_read, wait_write

from medusa.protocol.errors import HandshakeError
from medusa.reflector.config import Timeouts
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.net.accept import MOST_AT_ONCE, Greenlets
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import site
from medusa.reflector.net.fd_limit import check_room
from medusa.reflector.net.listen import HTTP, RAW
from medusa.reflector.net.sockets import AcceptedSocket, adopted, ungreen
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.byte_link import ByteLink, Patience
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.owner_answer import ACCEPTED, pass_on_refusal, read_start
from medusa.reflector.session_name import SessionName
from medusa.reflector.workers import fd_channel
from medusa.reflector.workers.fd_channel import QUESTION, BadMessage, Message, pack, unpack
from medusa.reflector.workers.sharding import owner_of
from medusa.reflector.workers.tls_proxy import open_tls_proxy
from medusa.session import Side
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsSocket, stream_over

log = structlog.get_logger(component="handoff")

MIN_RETRY_INTERVAL, MAX_RETRY_INTERVAL = 0.01, 1.0
"""The first and the longest wait, in seconds, before the inbox is read again, if no descriptor is left.

The wait is doubled after each reading that fails.
"""

socketpair: Any = monkey.get_original("socket", "socketpair")
"""The standard library's socketpair function, whose sockets do not use gevent."""


class Handoff:
    """Exchanges connections and questions with the other workers.

    Set `fronts`, `on_question` and `refusals`, then call `start`.

    Args:
        number: the number of this worker.
        key: the key for owner_of (medusa.reflector.workers.sharding), the same in all workers.
        inbox: the socket from which this worker receives messages; non-blocking.
        outboxes: the sockets to the inboxes of the other workers, by worker number; non-blocking.
        stall_timeout: how long a TLS proxy, after one end has closed, waits for a sign of life of the other end; see
            Patience.

    Attributes:
        fronts: for each kind of connection, the function that serves it. It is called in a new greenlet for each
            connection that was taken over.
        on_question: called in a new greenlet for each question, with the socket for the answer and the question.
        refusals: limits the number of log lines about connections that could not be sent to another worker.
        proxies: the TLS proxies for connections that this worker decrypts for sessions of other workers.
        handed_over: the number of connections that were handed to other workers so far.
        taken_over: the number of connections that were taken over from other workers so far.
    """

    on_question: Callable[[Any, bytes], None]
    refusals: RefusalLog
    _queue: FairQueue
    _budget: Budget

    def __init__(
        self,
        number: int,
        key: bytes,
        inbox: socket.socket,
        outboxes: Mapping[int, socket.socket],
        stall_timeout: float,
        timeouts: Timeouts,
    ) -> None:
        self.number = number
        self.fronts: dict[str, Callable[[Accepted], None]] = {}
        self.handed_over = self.taken_over = 0
        self._key = key
        self._inbox = inbox
        self._outboxes = outboxes
        self._patience = Patience(stall_timeout, timeouts.close_timeout, timeouts.unread_timeout)
        self._timeouts = timeouts
        self.proxies: set[ByteLink] = set()
        self._proxy_ended = gevent.event.Event()
        self._greenlets = Greenlets()

    @property
    def others(self) -> Iterable[int]:
        """The numbers of the other workers."""
        return self._outboxes.keys()

    def start(self, queue: FairQueue, budget: Budget | None = None) -> None:
        """Starts to read the inbox. The inbox may already hold messages for a former worker of this number, which has
        died.

        Args:
            queue: the fair queue of the event loop.
            budget: counts the memory that peers make this process hold. None to count without a limit.
        """
        self._queue, self._budget = queue, budget or Budget()
        gevent.spawn(self._read_forever)

    def finish(self, timeout: float) -> None:
        """Waits until all TLS proxies for sessions of other workers have ended, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.proxies and (left := deadline - time.monotonic()) > 0:
            self._proxy_ended.clear()
            self._proxy_ended.wait(left)

    # ------------------------------------------------------------------ to the other workers

    def owner(self, name: SessionName) -> int | None:
        """Returns the number of the worker that owns the session `name`, or None if this worker owns it."""
        owner = owner_of(name, self._key, len(self._outboxes) + 1)
        return None if owner == self.number else owner

    def hand_over(self, accepted: Accepted, name: SessionName, side: Side) -> bool:
        """Hands a connection to the worker that owns the session `name`. Call this after its head was read.

        Returns True if another worker now has the connection, or has refused it. Returns False if this worker owns the
        session. Then the caller has to serve the connection.

        Args:
            side: the side of the session to which the peer wants to attach: client or agent.

        Raises:
            HandshakeError: 503, the connection could not be sent. The caller still owns it.
        """
        owner = self.owner(name)
        if owner is None:
            return False
        message = Message(accepted.kind, accepted.address, accepted.data, accepted.proxied)
        if isinstance(accepted.sock, TlsSocket):
            self._proxy_tls(owner, message, accepted, side)
        else:
            self.send(owner, message, accepted.sock)
            accepted.take().close()
        return True

    def _proxy_tls(self, owner: int, message: Message, accepted: Accepted, side: Side) -> None:
        inner, answer, status = self._ask(owner, message)
        if status not in ACCEPTED:
            pass_on_refusal(inner, accepted, answer, self._timeouts)
            return
        streams = stream_over(accepted.take()), SocketStream(ungreen(inner))
        # A client that is alive may take long to read the job's last output. An agent has to go on reading.
        counts_reads = side is Side.CLIENT
        share = self._budget.share(address=site(accepted.host))  # the login is not proved here
        proxy = open_tls_proxy(self._queue, streams, answer, self._patience, counts_reads, self._forget, share)
        if not proxy.over:
            self.proxies.add(proxy)

    def _ask(self, owner: int, message: Message) -> tuple[Any, bytes, int]:
        """Sends one end of a new socket pair to the worker `owner`, which serves it in place of a TLS connection.

        Returns the other end, the first bytes of the owner's answer, and the status in these bytes.

        Raises:
            HandshakeError: 503, the owner does not answer.
        """
        try:
            near, far = socketpair()
        except OSError as error:
            raise self._refused(owner, message, error) from None
        inner = gevent.socket.socket(fileno=near.detach())
        try:
            with far:
                check_room(inner.fileno())
                self.send(owner, message, far)
            inner.settimeout(self._timeouts.handoff_answer_timeout)
            # Another reflector may forward a peer that speaks raw TCP: that peer is answered after a request of HTTP.
            return (inner, *read_start(inner, HTTP, RAW))
        except BaseException as error:
            inner.close()
            if isinstance(error, OSError):
                raise self._refused(owner, message, error) from None
            raise

    def _forget(self, proxy: ByteLink) -> None:
        self.proxies.discard(proxy)
        self._proxy_ended.set()

    def send(self, worker: int, message: Message, sock: Any) -> None:
        """Sends a connection to another worker: `message`, with a duplicate of the descriptor of `sock`.

        The caller has to close `sock` right after this call.

        Raises:
            HandshakeError: 503, the worker's inbox stayed full, or the system cannot send.
        """
        try:
            self.post(worker, message, sock.fileno(), self._timeouts.handoff_timeout)
        except (OSError, BadMessage) as error:
            raise self._refused(worker, message, error) from None
        unwatch(sock.fileno())
        self.handed_over += 1

    def post(self, worker: int, message: Message, fd: int, timeout: float) -> None:
        """Sends `message` to another worker, with a duplicate of `fd`. Waits up to `timeout` seconds for room.

        Raises:
            OSError: there was no room in time (TimeoutError), or the system cannot send.
            BadMessage: the message is too long.
        """
        outbox, packet = self._outboxes[worker], pack(message)
        with gevent.Timeout(timeout, TimeoutError("its mailbox is full")):
            while True:
                try:
                    return fd_channel.send(outbox, packet, fd)
                except BlockingIOError:
                    wait_write(outbox.fileno())

    def _refused(self, worker: int, message: Message, error: Exception) -> HandshakeError:
        more = self.refusals.fields("not handed over", message.address[0])
        if more is not None:
            log.error("connection not handed over", to=worker, error=str(error), **more)
        return HandshakeError(503, "the part of this reflector that it is for does not answer", (("Retry-After", "5"),))

    # ------------------------------------------------------------------ from the other workers

    def _read_forever(self) -> None:
        interval = MIN_RETRY_INTERVAL
        while True:
            wait_read(self._inbox.fileno())
            try:
                for _ in range(MOST_AT_ONCE):
                    self._dispatch(*fd_channel.receive(self._inbox))
                    interval = MIN_RETRY_INTERVAL
                gevent.sleep(0)
            except BlockingIOError:
                pass
            except BadMessage as error:
                log.error("connection not taken over", error=str(error))
            except OSError as error:  # no descriptor is left
                log.error("the system refuses", error=os.strerror(error.errno or 0))
                gevent.sleep(interval)
                interval = min(MAX_RETRY_INTERVAL, interval * 2)
            except Exception:  # a bug: one connection is lost, and the inbox is still read
                log.exception("internal error")

    def _dispatch(self, packet: bytes, fd: int) -> None:
        try:
            sock = adopted(fd)
        except OSError as error:
            socket.close(fd)
            raise BadMessage("not a socket: %s" % error) from None
        try:
            message = unpack(packet)
            self._deliver(message, sock)
        except BadMessage:
            sock.close()
            raise

    def _deliver(self, message: Message, sock: AcceptedSocket) -> None:
        if message.kind == QUESTION:
            gevent.spawn(self.on_question, gevent.socket.socket(fileno=sock.detach()), message.data)
            return
        front = self.fronts.get(message.kind)
        if front is None:
            raise BadMessage("no listener of this name")
        self.taken_over += 1
        accepted = Accepted(message.kind, sock, message.address, message.proxied, message.data, handed_over=True)
        self._greenlets.spawn(front, accepted)


def unwatch(fd: int) -> None:
    """Removes `fd` from the epoll set of the event loop. Call it only if no greenlet waits for `fd` any more.

    Normally libev leaves this to close(2). But the kernel watches a connection until its last duplicate is closed. If a
    connection was handed over, another process has a duplicate of it. So each byte for this connection would also wake
    up this process. libev would find that it does not watch this descriptor, or that its number now belongs to another
    connection. Then libev would rebuild its whole epoll set.
    """
    loop: Any = gevent.get_hub().loop
    if loop.backend != "epoll":
        return
    try:
        with monkey.get_original("select", "epoll").fromfd(os.dup(loop.fileno())) as epoll:
            epoll.unregister(fd)
    except OSError:
        pass  # `fd` was never watched, or no descriptor is left; then libev rebuilds its set if it has to
