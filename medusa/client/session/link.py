"""The link to the reflector: a transport and its keepalive, driven by a loop that polls."""

from __future__ import annotations

import select
from collections.abc import Callable

from medusa.protocol.control import Control, build
from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.keepalive import Keepalive, Verdict
from medusa.protocol.messages import Binary, Close, Message, Ping, Text
from medusa.protocol.printable import printable
from medusa.transports.base import BrokenTransport, ClosedTransport, Transport

KEEPALIVE = 15.0
"""Seconds; also the original client's. Front doors cut a socket that is silent for 30 s."""

CLOSE_PATIENCE = 2.0
"""Seconds that a polite end may take."""


class LinkLost(Exception):
    """The link ended without a polite word, or the peer is silent. The text says which."""


class Link:
    """Messages out and in, never blocking.

    Attributes:
        sent, received: bytes of terminal data so far.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float], interval: float = KEEPALIVE) -> None:
        self._transport = transport
        self._clock = clock
        self._keepalive = Keepalive(interval, clock(), idle_sender=True)
        self._reading = True
        self._heard = transport.received
        self.sent = self.received = 0

    def renew(self, transport: Transport) -> None:
        """Goes on over another transport; the one before is aborted."""
        self._transport.abort()
        self._transport = transport
        self._heard = transport.received
        self._keepalive.heard(self._clock())

    def fileno(self) -> int:
        return self._transport.fileno()

    @property
    def clear(self) -> bool:
        """Whether the next data message may be sent."""
        return not self._transport.wants_write

    def events(self, *, reading: bool) -> int:
        """What to poll for. While `reading` is False the peer cannot show that it lives, and is not judged."""
        self._reading = reading
        return (select.POLLIN if reading else 0) | (select.POLLOUT if self._transport.wants_write else 0)

    def receive(self) -> Message | None:
        """The next message, or None when no whole one is there.

        Raises:
            LinkLost: the stream ended without Close, or broke the rules.
        """
        try:
            message = self._transport.receive_nowait()
        except (BrokenTransport, ClosedTransport) as error:
            raise LinkLost(f"the link to the reflector is lost ({printable(str(error))})") from error
        except RemoteProtocolError as error:
            raise LinkLost(f"the reflector sent something illegal ({printable(str(error))})") from error
        if self._transport.received != self._heard:
            self._heard = self._transport.received
            self._keepalive.heard(self._clock())
        if isinstance(message, Binary):
            self.received += len(message.data)
        return message

    def send_data(self, data: bytes) -> None:
        """Sends terminal bytes; only when `clear`."""
        self.sent += len(data)
        self._send(Binary(data))

    def send_control(self, message: Control) -> None:
        """Sends a control message; only when `clear`."""
        self._send(Text(build(message)))

    def flush(self) -> None:
        """Writes what the kernel takes of what is waiting."""
        try:
            self._transport.flush()
        except (BrokenTransport, ClosedTransport) as error:
            raise LinkLost(f"the link to the reflector is lost ({printable(str(error))})") from error

    def tend(self) -> None:
        """Pings when it is time. Raises LinkLost when the peer was silent for too long."""
        now = self._clock()
        if not self._reading:
            self._keepalive.heard(now)
        verdict = self._keepalive.check(now)
        if verdict is Verdict.LOST:
            raise LinkLost("the reflector does not answer any more")
        if verdict is Verdict.PING:
            self._send(Ping())

    def resumed(self) -> None:
        """This process was stopped: the silence was ours."""
        self._keepalive.heard(self._clock())

    def patience(self) -> float:
        """Seconds until tend() has something to do."""
        return max(0.0, self._keepalive.deadline() - self._clock())

    def close(self, reason: str) -> None:
        """The polite end, within CLOSE_PATIENCE; never raises."""
        self._transport.close(1000, reason, CLOSE_PATIENCE)

    def abort(self) -> None:
        """The end, at once."""
        self._transport.abort()

    def _send(self, message: Message) -> None:
        try:
            self._transport.send_nowait(message)
        except (BrokenTransport, ClosedTransport) as error:
            raise LinkLost(f"the link to the reflector is lost ({printable(str(error))})") from error
        self._keepalive.sent(self._clock())


def farewell(close: Close) -> str:
    """What a peer's Close says, in words."""
    return f"the reflector closed the session ({printable(close.reason) or 'no reason given'})"
