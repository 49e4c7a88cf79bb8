"""What can be read of one side's connection: its state, and what the kernel knows of its peer."""

from __future__ import annotations

import fcntl
import struct
import termios

from medusa.protocol.relay import Unfinished
from medusa.reflector.net.sockets import acknowledged, hung_up, silence
from medusa.reflector.relay.endpoint import states
from medusa.reflector.relay.endpoint.states import State
from medusa.transports.relayed import RelayedTransport


class Status:
    """The base class of a connection with what the session's deadlines, lists and limits read of it.

    Attributes:
        state: the current state of states.TABLE.
    """

    def __init__(self, transport: RelayedTransport) -> None:
        self.transport = transport
        self.state = State.DROPPING
        self._sink: Status | None = None  # what is read here is written to this connection
        self._accepted = 0  # bytes that had reached the peer's host at the last call of `is_draining`

    @property
    def open(self) -> bool:
        """True until the peer ends its stream or breaks the protocol, or this process closes the connection."""
        return self.state in states.OPEN

    @property
    def released(self) -> bool:
        """True after this process has closed the connection."""
        return self.state is State.RELEASED

    @property
    def plain(self) -> bool:
        """True if the peer uses raw TCP without frames."""
        return self.transport.plain

    @property
    def passes_fin(self) -> bool:
        """True if the peer can end its direction with a FIN while the other direction goes on.

        This is possible if both peers use raw TCP without frames, and are linked.
        """
        return self.state is State.FORWARDING_PLAIN

    @property
    def paused(self) -> bool:
        """True if nothing is read from the peer, because bytes still wait to be written to the other side."""
        return self._sink is not None and self._sink.transport.wants_write

    @property
    def unfinished(self) -> Unfinished | None:
        """The message of which only a part has arrived from the peer. None if there is none."""
        return self.transport.unfinished

    @property
    def hung_up(self) -> bool:
        """True if the peer has ended its stream, even if bytes before that end are still unread."""
        return hung_up(self.transport.fileno())

    @property
    def sent(self) -> int:
        """The number of bytes for the peer that the kernel has accepted so far."""
        return self.transport.sent

    @property
    def backlog(self) -> int:
        """The number of bytes that the kernel still holds for the peer, because its host has not acknowledged them.

        1 more if bytes wait to be given to the kernel. 0 if the system cannot tell the number.
        """
        try:
            (unsent,) = struct.unpack("i", fcntl.ioctl(self.transport.fileno(), termios.TIOCOUTQ, bytes(4)))
        except (OSError, ValueError):
            return 0
        return int(unsent) + self.transport.wants_write

    @property
    def unacknowledged(self) -> float:
        """The seconds for which the peer's host has not acknowledged the bytes sent to it; 0.0 if it has."""
        return silence(self.transport.fileno())

    def is_draining(self) -> bool:
        """Returns True if a ping may be stuck behind data that the peer is still accepting.

        In this case a silent peer does not count as lost. The result is True in two cases:

        - Some sent bytes have not reached the peer's host yet, and other bytes have reached it since the last call.
        - All sent bytes have reached the host, and they end inside a frame. No ping can be sent before the rest of this
          frame is sent.
        """
        backlog = self.backlog
        # With TLS, `sent` does not tell how many bytes of ciphertext the kernel has.
        found = acknowledged(self.transport.fileno())
        before, self._accepted = self._accepted, found.size if found is not None else self.transport.sent - backlog
        return self._accepted > before if backlog else self.transport.mid_frame
