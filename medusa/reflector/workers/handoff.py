"""Connections are handed to the worker that owns their session, and taken over from the worker that accepted them."""

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
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.relay.byte_link import ByteLink
from medusa.reflector.relay.fair_queue import FairQueue
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
"""Seconds until the inbox is read again after this process had no descriptor left; doubled each time."""

BATCH = 16
"""Messages received before other greenlets may run."""

socketpair: Any = monkey.get_original("socket", "socketpair")
"""A pair of sockets that are not gevent's."""


class Handoff:
    """One worker's way to the others. Call `start` when `fronts` and `on_question` are set.

    Args:
        number: of this worker.
        key: of medusa.reflector.workers.sharding.
        inbox: this worker's.
        outboxes: the other workers', by number. No socket blocks.
        stall_timeout: see open_tls_proxy.

    Attributes:
        fronts: by the kind of a connection: called with it, in a greenlet of its own.
        on_question: called with the socket for the answer, and the question, in a greenlet of its own.
        handed_over, taken_over: connections so far.
    """

    on_question: Callable[[Any, bytes], None]
    _queue: FairQueue

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
        self._stall_timeout = stall_timeout
        self._timeouts = timeouts
        self._proxies: set[ByteLink] = set()
        self._proxy_ended = gevent.event.Event()

    @property
    def others(self) -> Iterable[int]:
        """The numbers of the other workers."""
        return self._outboxes.keys()

    def start(self, queue: FairQueue) -> None:
        """Begin to read the inbox, which may hold messages for a predecessor. `queue`: the event loop's."""
        self._queue = queue
        gevent.spawn(self._read_forever)

    def finish(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for TLS connections of other workers' sessions to deliver what they hold."""
        deadline = time.monotonic() + timeout
        while self._proxies and (left := deadline - time.monotonic()) > 0:
            self._proxy_ended.clear()
            self._proxy_ended.wait(left)

    # ------------------------------------------------------------------ to the others

    def owner(self, name: SessionName) -> int | None:
        """The number of the worker that owns `name`; None for this one."""
        owner = owner_of(name, self._key, len(self._outboxes) + 1)
        return None if owner == self.number else owner

    def hand_over(self, accepted: Accepted, name: SessionName, side: Side) -> bool:
        """Hand a connection, of which the head was read, to the worker that owns the session `name`.

        Returns False if that is this worker: serve the connection here.

        Raises:
            HandshakeError: 503, the owner's inbox stayed full. The connection is still the caller's.
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
        try:
            near, far = socketpair()
        except OSError as error:
            raise _refused(owner, error) from None
        try:
            self.send(owner, message, far)
        except BaseException:
            near.close()
            raise
        finally:
            far.close()
        outer = stream_over(accepted.take())
        # A client may read the job's last output for as long as it lives; an agent has to go on reading.
        lenient = side is Side.CLIENT
        proxy = open_tls_proxy(self._queue, outer, SocketStream(near), self._stall_timeout, lenient, self._forget)
        if not proxy.over:
            self._proxies.add(proxy)

    def _forget(self, proxy: ByteLink) -> None:
        self._proxies.discard(proxy)
        self._proxy_ended.set()

    def send(self, worker: int, message: Message, sock: Any) -> None:
        """Give `worker` a duplicate of `sock`. The caller has to close `sock` right after that.

        Raises:
            HandshakeError: 503, the worker's inbox stayed full.
        """
        try:
            self.post(worker, message, sock.fileno(), self._timeouts.handoff_timeout)
        except (OSError, BadMessage) as error:
            raise _refused(worker, error) from None
        unwatch(sock.fileno())
        self.handed_over += 1

    def post(self, worker: int, message: Message, fd: int, timeout: float) -> None:
        """Send `message` with a duplicate of `fd`; wait up to `timeout` seconds for room.

        Raises:
            OSError: there was no room in time (TimeoutError), or the system refuses.
            BadMessage: it is too long.
        """
        outbox, packet = self._outboxes[worker], pack(message)
        with gevent.Timeout(timeout, TimeoutError("its mailbox is full")):
            while True:
                try:
                    return fd_channel.send(outbox, packet, fd)
                except BlockingIOError:
                    wait_write(outbox.fileno())

    # ------------------------------------------------------------------ from the others

    def _read_forever(self) -> None:
        interval = MIN_RETRY_INTERVAL
        while True:
            wait_read(self._inbox.fileno())
            try:
                for _ in range(BATCH):
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
            except Exception:  # a bug: one connection is lost, but not the inbox
                log.exception("internal error")

    def _dispatch(self, packet: bytes, fd: int) -> None:
        try:
            sock = gevent.socket.socket(fileno=fd)
        except OSError as error:
            socket.close(fd)
            raise BadMessage("not a socket: %s" % error) from None
        try:
            message = unpack(packet)
            self._deliver(message, sock)
        except BadMessage:
            sock.close()
            raise

    def _deliver(self, message: Message, sock: Any) -> None:
        if message.kind == QUESTION:
            gevent.spawn(self.on_question, sock, message.data)
            return
        front = self.fronts.get(message.kind)
        if front is None:
            raise BadMessage("no listener of this name")
        self.taken_over += 1
        accepted = Accepted(message.kind, sock, message.address, message.proxied, message.data, handed_over=True)
        gevent.spawn(front, accepted)


def unwatch(fd: int) -> None:
    """Remove `fd`, which no greenlet here waits for any more, from the event loop's epoll set.

    libev leaves that to close(2). But the kernel keeps watching until the last duplicate is closed, and the duplicate
    of a connection that was given away belongs to another process: each byte for it would wake this process up, and
    libev, which knows nothing of the number or has another connection under it, would rebuild its whole epoll set.
    """
    loop: Any = gevent.get_hub().loop
    if loop.backend != "epoll":
        return
    try:
        with monkey.get_original("select", "epoll").fromfd(os.dup(loop.fileno())) as epoll:
            epoll.unregister(fd)
    except OSError:
        pass  # it was never watched; or no descriptor is left, and libev has to rebuild


def _refused(worker: int, error: Exception) -> HandshakeError:
    log.error("connection not handed over", to=worker, error=str(error))
    return HandshakeError(503, "the part of this reflector that it is for does not answer", (("Retry-After", "5"),))
