"""A link: a transport with its keepalive and backpressure, driven by a loop that polls. For mlogin and the agent."""

from __future__ import annotations

import enum
import select
from typing import Callable, List, Optional

from medusa.protocol.control import Control, build
from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.keepalive import Keepalive, Verdict
from medusa.protocol.messages import Binary, Message, Ping, Text
from medusa.transports.base import CLOSE_TIMEOUT, BrokenTransport, ClosedTransport, Transport

KEEPALIVE_INTERVAL = 15.0
"""Seconds; the reflector's default as well, and half of the silence after which load balancers cut a connection."""


class Loss(enum.Enum):
    """How a link ended."""

    CLOSED = "a Close was sent"
    BROKEN = "the stream ended or failed without a Close"
    ILLEGAL = "the peer broke the protocol"
    SILENT = "the peer does not answer pings"


class LinkLost(Exception):
    """The link has ended and is of no more use; call `close` or `abort`.

    Attributes:
        loss: how it ended.
        detail: more about it in words, possibly the peer's and so not safe to show; may be empty.
    """

    def __init__(self, loss: Loss, detail: str = "") -> None:
        super().__init__(detail or loss.value)
        self.loss = loss
        self.detail = detail


class Link:
    """Messages out and in; no call blocks, except `close`.

    In each round of its loop the owner polls for `events`, for at most `timeout` seconds or, if `unread`, for none at
    all; then it calls `flush`, `receive` and `keep_alive`.

    Args:
        clock: seconds, monotonic.
        interval: seconds of silence after which the peer is pinged. After three of them it is lost.

    Attributes:
        sent, received: bytes of Binary messages so far.
        unread: messages may be waiting that no poll would report.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float], interval: float = KEEPALIVE_INTERVAL) -> None:
        self._transport = transport
        self._clock = clock
        self._keepalive = Keepalive(interval, clock(), idle_sender=True)
        self._reading = True
        self._queue: List[Message] = []
        self._traffic = (transport.received, transport.sent)
        self.unread = True
        self.sent = self.received = 0

    def replace(self, transport: Transport) -> None:
        """Abort the transport and go on with another one."""
        self._transport.abort()
        self._transport = transport
        self._traffic = (transport.received, transport.sent)
        self.unread = True
        self.reset_keepalive()

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._transport.fileno()

    @property
    def clear(self) -> bool:
        """Whether the next message may be sent."""
        return not (self._queue or self._transport.wants_write)

    def events(self, *, reading: bool) -> int:
        """What to poll for.

        Args:
            reading: whether messages are wanted now. While they are not, the peer's pongs are not seen either, so its
                silence is no reason to give it up.
        """
        self._reading = reading
        return (select.POLLIN if reading else 0) | (select.POLLOUT if self._transport.wants_write else 0)

    def receive(self) -> Optional[Message]:
        """The next message, possibly a Close, or None if no whole one is there.

        Raises:
            LinkLost: the stream ended, the peer broke the protocol, or the Close was already handed over.
        """
        try:
            message = self._transport.receive_nowait()
        except (BrokenTransport, ClosedTransport, RemoteProtocolError) as error:
            raise _lost(error) from error
        self.unread = message is not None
        if isinstance(message, Binary):
            self.received += len(message.data)
        return message

    def send_data(self, data: bytes) -> None:
        """Send bytes of the terminal. Only when `clear`. Raises LinkLost."""
        self.sent += len(data)
        self._send(Binary(data))

    def send_control(self, message: Control) -> None:
        """Send a control message. Only when `clear`. Raises LinkLost."""
        self._send(Text(build(message)))

    def queue(self, *messages: Message) -> None:
        """Send these as soon as the transport takes them; until then the link is not `clear`. Raises LinkLost."""
        self._queue += messages
        self.flush()

    def flush(self) -> None:
        """Write as much of what is waiting as the kernel takes. Raises LinkLost."""
        try:
            while self._transport.flush() and self._queue:
                self._transport.send_nowait(self._queue.pop(0))
        except (BrokenTransport, ClosedTransport) as error:
            raise _lost(error) from error

    def keep_alive(self) -> None:
        """Ping the peer if that is due. Call in each round, after `receive`. Raises LinkLost if the peer is silent."""
        now = self._clock()
        received, sent = self._traffic
        self._traffic = (self._transport.received, self._transport.sent)
        if not self._reading or self._transport.received != received:
            self._keepalive.received(now)
        if self._transport.sent != sent:
            self._keepalive.sent(now)
        verdict = self._keepalive.check(now)
        if verdict is Verdict.LOST:
            raise LinkLost(Loss.SILENT)
        if verdict is Verdict.PING:
            self._send(Ping())

    def reset_keepalive(self) -> None:
        """Begin to count the peer's silence anew: this process was stopped and could not have received anything."""
        self._keepalive.received(self._clock())

    def deadline(self) -> float:
        """When `keep_alive` must be called next, by the clock."""
        return self._keepalive.deadline()

    def timeout(self) -> float:
        """Seconds until `deadline`."""
        return max(0.0, self.deadline() - self._clock())

    def close(self, reason: str = "", timeout: float = CLOSE_TIMEOUT) -> None:
        """Send a Close and wait up to `timeout` seconds for the peer's. Never raises."""
        self._transport.close(1000, reason, timeout)

    def abort(self) -> None:
        """End the link at once, without a Close."""
        self._transport.abort()

    def _send(self, message: Message) -> None:
        try:
            self._transport.send_nowait(message)
        except (BrokenTransport, ClosedTransport) as error:
            raise _lost(error) from error


def _lost(error: Exception) -> LinkLost:
    if isinstance(error, ClosedTransport):
        return LinkLost(Loss.CLOSED, error.close.reason if error.close else "")
    return LinkLost(Loss.ILLEGAL if isinstance(error, RemoteProtocolError) else Loss.BROKEN, str(error))
