"""A link: a transport with a keepalive and a short send queue, for the polling loops of mlogin and of the agent."""

from __future__ import annotations

import enum
import select
from typing import Callable, List, Optional

from medusa.protocol.control import Control, build
from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.keepalive import Keepalive, Verdict
from medusa.protocol.messages import Binary, Close, Message, Part, Ping, Text
from medusa.transports.base import CLOSE_TIMEOUT, BrokenTransport, Buffer, ClosedTransport, Transport

KEEPALIVE_INTERVAL = 15.0
"""The default interval between pings, in seconds. The reflector has the same default.

It is half of the time after which load balancers cut a silent connection.
"""

FREED = 4 * 1024 * 1024

LEAST_MESSAGE, FIRST_MESSAGE, MOST_MESSAGE = 64 * 1024, 256 * 1024, 1024 * 1024
"""Bytes. The smallest, the first and the largest value of `Link.message_size`."""


class Loss(enum.Enum):
    """The ways in which a link can end."""

    CLOSED = "a Close was sent"
    BROKEN = "the stream ended or failed without a Close"
    ILLEGAL = "the peer broke the protocol"
    SILENT = "the peer does not answer pings"


class LinkLost(Exception):
    """Raised if the link has ended. The link cannot be used any more: call its `close` or `abort`.

    Attributes:
        loss: how the link ended.
        detail: a text with the details. It may come from the peer, so make it printable before you show it. It may be
            empty.
        code: the code of the peer's Close; None if there was no Close, or if the Close has no code.
    """

    def __init__(self, loss: Loss, detail: str = "", code: Optional[int] = None) -> None:
        super().__init__(detail or loss.name)
        self.loss = loss
        self.detail = detail
        self.code = code


class Link:
    """A link to one peer, which sends and receives messages. No method blocks except `close`.

    In each round of its loop, the caller polls `fileno` for `events`. After the poll it calls `flush` and `receive`. It
    calls `keep_alive` too, at the latest at the time that `deadline` returns, and soon after bytes have come. The poll
    must not wait at all if `unread` is True.

    Args:
        clock: a function that returns the time, in seconds of a monotonic clock.
        interval: seconds of silence before the peer is pinged. After three intervals of silence the link is lost; after
            a call of `suspect`, it may be lost earlier.
        answer_timeout: seconds for the peer to answer each ping; None: until the three intervals are over.

    Attributes:
        sent, received: the number of bytes in Binary messages so far.
        unread: True if messages may be waiting that a poll would not report.
        message_size: the number of bytes that the next binary message should have at most. It doubles if the kernel
            has taken a long message at once, and is halved if the kernel has not. So a fast link carries few long
            messages, and on a slow link a short message waits only for a part of a second behind a longer one.
        heard: the time, by `clock`, of the peer's last sign of life. It is set by `keep_alive` if new bytes have come
            from the peer, and also if the caller does not read now (see `events`).
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float],
        interval: float = KEEPALIVE_INTERVAL,
        answer_timeout: Optional[float] = None,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._keepalive = Keepalive(interval, clock(), idle_sender=True, answer_timeout=answer_timeout)
        self._reading = True
        self.heard = clock()
        self._queue: List[Message] = []
        self._traffic = (transport.received, transport.sent)
        self.unread = True
        self.sent = self.received = 0
        self.message_size = FIRST_MESSAGE

    def replace(self, transport: Transport) -> None:
        """Aborts the current transport, and uses `transport` from now on."""
        self._transport.abort()
        self._queue.clear()
        self._transport = transport
        self._traffic = (transport.received, transport.sent)
        self.unread = True
        self.reset_keepalive()

    def limit_messages(self, size: int, parts_above: int) -> None:
        """Sets the limit of one message of the peer to `size` bytes. A longer one ends the link: Loss.ILLEGAL.

        Binary messages above `parts_above` bytes are received as Parts, as they arrive.
        """
        _keep_freed_memory()
        self._transport.limit_messages(size)
        self._transport.read_in_parts(parts_above)

    def fileno(self) -> int:
        """Returns the file descriptor to poll."""
        return self._transport.fileno()

    @property
    def clear(self) -> bool:
        """True if `send_data` and `send_control` may be called now, because no earlier message is still waiting."""
        return not (self._queue or self._transport.wants_write)

    def events(self, *, reading: bool) -> int:
        """Returns the events to poll for, as a mask of select.POLLIN and select.POLLOUT.

        Args:
            reading: True if the caller wants to receive messages now. While this is False, the peer never counts as
                silent, because its answers to pings are not read either.
        """
        self._reading = reading
        return (select.POLLIN if reading else 0) | (select.POLLOUT if self._transport.wants_write else 0)

    def receive(self) -> Optional[Message]:
        """Returns the next whole message (perhaps a Close), or None if no whole message has arrived.

        Sets `unread` to False if a further call before the next poll would return None.

        Raises:
            LinkLost: the stream ended, the peer broke the protocol, or the Close was already returned.
        """
        try:
            message = self._transport.receive_nowait()
        except (BrokenTransport, ClosedTransport, RemoteProtocolError) as error:
            raise _lost(error) from error
        self.unread = message is not None and not self._transport.emptied
        if isinstance(message, (Binary, Part)):
            self.received += len(message.data)
        return message

    def send_data(self, *pieces: Buffer) -> None:
        """Sends the given pieces as one binary message. Call it only if `clear` is True.

        Raises:
            LinkLost: the link has ended.
        """
        size = sum(map(len, pieces))
        self.sent += size
        try:
            whole = self._transport.send_binary(pieces)
        except (BrokenTransport, ClosedTransport) as error:
            raise _lost(error) from error
        if not whole:
            self.message_size = max(LEAST_MESSAGE, self.message_size // 2)
        elif size > self.message_size // 2:
            self.message_size = min(MOST_MESSAGE, self.message_size * 2)

    def send_control(self, message: Control) -> None:
        """Sends a control message. Call it only if `clear` is True. Raises LinkLost if the link has ended."""
        self._send(Text(build(message)))

    def queue(self, *messages: Message) -> None:
        """Queues the given messages, and sends each as soon as the transport takes it.

        `clear` is False until all are sent.

        Raises:
            LinkLost: the link has ended.
        """
        self._queue += messages
        self.flush()

    def flush(self) -> None:
        """Writes as many waiting messages as the kernel takes now. Raises LinkLost if the link has ended."""
        if self.clear:
            return
        try:
            while self._transport.flush() and self._queue:
                self._transport.send_nowait(self._queue.pop(0))
        except (BrokenTransport, ClosedTransport) as error:
            raise _lost(error) from error

    def keep_alive(self) -> None:
        """Pings the peer if a ping is due. Notes first whether bytes have come since the last call.

        Raises:
            LinkLost: the peer has been silent for `limit` seconds, or the link has ended.
        """
        now = self._clock()
        received, sent = self._traffic
        self._traffic = (self._transport.received, self._transport.sent)
        if not self._reading or self._transport.received != received:
            self.heard = now
            self._keepalive.received(now)
        if self._transport.sent != sent:
            self._keepalive.sent(now)
        verdict = self._keepalive.check(now)
        if verdict is Verdict.LOST:
            raise LinkLost(Loss.SILENT)
        if verdict is Verdict.PING:
            self._send(Ping())

    def reset_keepalive(self) -> None:
        """Restarts the count of the peer's silence. Call it after this process was suspended and could not read."""
        self.heard = self._clock()
        self._keepalive.received(self.heard)

    def suspect(self, timeout: float) -> None:
        """Makes the next call of `keep_alive` ping the peer, and gives the peer `timeout` seconds to answer.

        If the peer does not answer in this time, `keep_alive` raises LinkLost. Call this if there is a reason to
        believe that the peer is gone.
        """
        self._keepalive.suspect(self._clock(), timeout)

    @property
    def limit(self) -> float:
        """The seconds of silence after which the link is lost. After `suspect`, the `timeout` given there."""
        return self._keepalive.limit

    def deadline(self) -> float:
        """Returns the time, by `clock`, at which `keep_alive` must be called next."""
        return self._keepalive.deadline()

    def timeout(self) -> float:
        """Returns the seconds until `deadline()`; 0 if that time has passed."""
        return max(0.0, self.deadline() - self._clock())

    def close(self, reason: str = "", timeout: float = CLOSE_TIMEOUT, code: int = 1000) -> bool:
        """Sends a Close, waits up to `timeout` seconds for the peer's Close, and ends the link. Never raises.

        Returns True if the peer's Close came.
        """
        return self._transport.close(code, reason, timeout)

    def abort(self) -> None:
        """Ends the link at once, without a Close."""
        self._transport.abort()

    def _send(self, message: Message) -> None:
        try:
            self._transport.send_nowait(message)
        except (BrokenTransport, ClosedTransport) as error:
            raise _lost(error) from error


def closed(close: Close) -> LinkLost:
    """Returns the error to raise after the peer has ended the link by `close`."""
    return LinkLost(Loss.CLOSED, close.reason, close.code)


def _keep_freed_memory() -> None:
    """Makes glibc keep up to twice FREED bytes of freed memory, instead of giving it back to the kernel.

    glibc raises its limits when it frees a block of FREED bytes (M_MMAP_THRESHOLD in mallopt(3)). Otherwise each large
    read would get new memory from the kernel. The block itself is never touched, so it takes no memory.
    """
    bytes(FREED)


def _lost(error: Exception) -> LinkLost:
    if isinstance(error, ClosedTransport):
        return closed(error.close) if error.close else LinkLost(Loss.CLOSED)
    return LinkLost(Loss.ILLEGAL if isinstance(error, RemoteProtocolError) else Loss.BROKEN, str(error))
