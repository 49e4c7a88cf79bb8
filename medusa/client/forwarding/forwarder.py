"""Forwards connections in one session: what the options -L, -R and -D ask for."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Mapping, Sequence

from medusa.client.forwarding.incoming import Incoming
from medusa.client.forwarding.listeners import Listeners
from medusa.client.forwarding.outgoing import Outgoing
from medusa.client.forwarding.report import TOO_OLD, Report
from medusa.client.places.specs import Forward, Side
from medusa.client.settings import Settings
from medusa.client.streams.companion import Carrier
from medusa.client.terminal.messages import Messages
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import CLOSE, REFUSED
from medusa.transports.forwarding.connections import Connections
from medusa.transports.forwarding.lookups import Lookups

TURNS = 4
"""How often bytes are read and sent in one round, as long as there are more and the link takes them."""


class Forwarder:
    """All that is forwarded in one session. It is the companion of the session's conversation.

    Call `bind` before the session, and `close` after it.

    Args:
        forwards: what to forward.
        report: tells the user about it.
        alone: True if the session does nothing else, so that the session itself says why it is over.
        clock: a function that returns monotonic seconds.
    """

    def __init__(
        self,
        forwards: Sequence[Forward],
        report: Report,
        *,
        alone: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._forwards, self._report, self._alone, self._clock = forwards, report, alone, clock
        self._lookups = Lookups(clock)
        self._listeners = Listeners(report, clock)
        self._connections = Connections()
        self._own: set[Channel] = set()  # also channels that this end has closed, until the peer has closed them too
        self._conversation: Carrier | None = None
        self._outgoing: Outgoing | None = None
        self._incoming: Incoming | None = None

    def bind(self) -> None:
        """Listens on this machine. Nothing is accepted before `start`. Raises Failure if a port is in use."""
        try:
            for forward in self._forwards:
                if forward.side is not Side.REMOTE:
                    self._listeners.add(forward, self._lookups)
        except BaseException:
            self.close()
            raise

    def idle(self) -> bool:
        """Returns True if nothing listens any more, and no connection is left."""
        listening = len(self._listeners) + (0 if self._incoming is None else len(self._incoming))
        return not listening and not len(self._connections)

    def start(self, conversation: Carrier) -> None:
        """Begins to forward, because the agent has accepted the stream."""
        channels = conversation.stream.channels
        self._conversation = conversation
        self._outgoing = Outgoing(channels, self._connections, self._report, self._clock)
        self._incoming = Incoming(channels, self._connections, self._lookups, self._report, self._clock)
        self._listeners.announce()
        for forward in self._forwards:
            if forward.side is Side.REMOTE:
                self._incoming.listen(forward)

    def unavailable(self) -> None:
        """Gives up, because the agent knows no streams."""
        if not self._alone:
            self._report.problem(TOO_OLD)
        self.close()

    # ------------------------------------------------------------------ in each round

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        if self._outgoing is None or self._incoming is None:
            return {}
        wanted = self._connections.wanted()
        wanted.update(self._outgoing.wanted())
        wanted.update(self._incoming.wanted())
        if self._accepts():
            wanted.update(dict.fromkeys(self._listeners.fds, select.POLLIN))
        return wanted

    def deadline(self) -> float:
        """Returns the time at which to call `act` even without an event; infinity for never."""
        if self._outgoing is None or self._incoming is None:
            return math.inf
        if self._connections.due:
            return self._clock()
        return min(self._outgoing.deadline(), self._incoming.deadline(), self._listeners.deadline)

    def act(self, events: Mapping[int, int]) -> None:
        """Moves bytes, makes connections, and accepts them. Raises LinkLost and StreamError.

        Args:
            events: what poll has reported, by descriptor. Other descriptors are ignored.
        """
        if self._conversation is None or self._outgoing is None or self._incoming is None:
            return
        again = self._connections.serve(self._clock(), dict(events))
        self._outgoing.act(events)
        self._incoming.act(events)
        for forward, sock in self._listeners.accept(events, self._accepts):
            self._outgoing.add(forward, sock)
        for _ in range(TURNS):
            self._conversation.send()
            if not (again and self._conversation.clear):
                break
            again = self._connections.serve(self._clock(), again)

    def _accepts(self) -> bool:
        """Returns True if one more connection may be accepted. Others wait in the kernel."""
        outgoing, conversation = self._outgoing, self._conversation
        return outgoing is not None and conversation is not None and not conversation.parted and outgoing.takes_more

    def happened(self, event: Event) -> bool:
        """Acts on an event of the stream. Returns False, and does nothing, if the event's channel is not its own."""
        if self._outgoing is None or self._incoming is None:
            return False
        parts = (self._connections, self._outgoing, self._incoming)
        if any(part.happened(event) for part in parts):
            self._own.add(event.channel)
        elif event.channel not in self._own:
            return False
        if event.type in (CLOSE, REFUSED):
            self._own.discard(event.channel)
        if self._connections.due:
            self._connections.serve(self._clock(), {})
        return True

    def close(self) -> None:
        """Ends all of it: connections are reset, and nothing listens any more."""
        self._listeners.close()
        for part in (self._outgoing, self._incoming):
            if part is not None:
                part.close()
        self._connections.abort()
        self._outgoing = self._incoming = self._conversation = None


def forwarder_for(settings: Settings, messages: Messages) -> Forwarder:
    """Returns what forwards the connections that the user's options ask for. `messages`: shows lines to the user."""
    alone = settings.no_command
    return Forwarder(settings.forwards, Report(messages.error, messages.say if alone else None), alone=alone)
