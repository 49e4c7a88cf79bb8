"""Serves many connections in one loop: all that are forwarded over one stream."""

from __future__ import annotations

from typing import Dict, List, Set

from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import CLOSE, REFUSED, STOP
from medusa.transports.forwarding.connection import READ, Connection


class Connections:
    """The connections that are forwarded over one stream.

    In each round of its loop, the caller polls for `wanted`, not at all if `due` is True, and calls `serve`.

    Attributes:
        opened: the number of those for which this end has opened the channel.
    """

    def __init__(self) -> None:
        self._connections: Dict[Channel, Connection] = {}
        self._sockets: Dict[int, Connection] = {}
        self._masks: Dict[int, int] = {}  # what to poll for, for each connection
        self._due: Dict[Channel, Connection] = {}  # something has come in their channels
        self._standing: Set[Connection] = set()  # they are not read, because their channels have no room
        self._turn = self.opened = 0

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        """Serves this connection from now on, until both of its directions have ended."""
        channel = connection.channel
        self._connections[channel] = self._sockets[connection.fd] = self._due[channel] = connection
        self.opened += channel.opener

    @property
    def due(self) -> bool:
        """True if `serve` has something to do even without an event."""
        return bool(self._due)

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        for connection in [connection for connection in self._standing if not connection.stands]:
            self._watch(connection)
        return dict(self._masks)

    def happened(self, event: Event) -> bool:
        """Acts on an event of a channel. Returns False, and does nothing, if it is not the channel of a connection."""
        connection = self._connections.get(event.channel)
        if connection is None:
            return False
        if event.type == REFUSED:
            connection.abort()
        elif event.type == CLOSE:
            connection.closed()
        elif event.type == STOP:
            connection.stopped()
        if connection.over:
            self._watch(connection)  # at once, before another socket gets this descriptor
            self._due.pop(connection.channel, None)
        else:
            self._due[connection.channel] = connection
        return True

    def serve(self, now: float, events: Dict[int, int]) -> Dict[int, int]:
        """Moves bytes. Returns a READ event for each descriptor that may have more bytes than were read.

        Args:
            now: the time, in monotonic seconds.
            events: what poll reported, as a mask for each descriptor. Other descriptors are ignored.

        Raises:
            StreamError: too much waits to be sent, because the peer does not take it.
        """
        due, self._due = self._due, {}
        for fd in events.keys() & self._sockets.keys():
            connection = self._sockets[fd]
            due[connection.channel] = connection
        again = {}
        for connection in self._rotated(list(due.values())):
            if connection.serve(now, events.get(connection.fd, 0)):
                again[connection.fd] = READ
            self._watch(connection)
        return again

    def abort(self) -> None:
        """Resets all connections, because the stream has ended."""
        for connection in self._connections.values():
            connection.abort()
        for table in (self._connections, self._sockets, self._masks, self._due, self._standing):
            table.clear()
        self.opened = 0

    def _rotated(self, connections: List[Connection]) -> List[Connection]:
        """Returns these connections in another order in each round: the first ones find more room to send."""
        self._turn += 1
        first = self._turn % max(1, len(connections))
        return connections[first:] + connections[:first]

    def _watch(self, connection: Connection) -> None:
        """Notes what to poll for, for a connection that was served."""
        self._standing.discard(connection)
        if connection.over:
            del self._connections[connection.channel], self._sockets[connection.fd]
            self._masks.pop(connection.fd, None)
            self.opened -= connection.channel.opener
            return
        self._masks[connection.fd] = connection.wanted
        if connection.stands:
            self._standing.add(connection)
