"""All that is forwarded in one stream: connects and listens for the client, and passes the bytes of all connections."""

from __future__ import annotations

import resource
import socket
from typing import Any, Dict, List, Optional, Set, Union

from agent.forwarding.connection import Connection
from agent.forwarding.dialling import dial
from agent.forwarding.listening import Listener, listen, passes
from agent.forwarding.lookups import Lookups
from agent.forwarding.refusal import FORBIDDEN, LIMIT, CannotForward
from agent.poller import READ, Poller
from agent.process.context import Context
from medusa.protocol.channels.channel import Channel, Event, State
from medusa.protocol.channels.frames import CLOSE, OPEN, REFUSED, STOP, Reason
from medusa.protocol.channels.limits import MAX_CHANNELS
from medusa.protocol.channels.multiplexer import Channels
from medusa.transports.dial.tcp import reason
from medusa.transports.steps import Work

KINDS = ("tcp", "unix", "listen")
"""The kinds of channels that this package opens for the client."""

MAX_ACCEPTED = 512
"""The most connections of all listeners of a stream at once: some channels are left for what the client opens."""

MAX_LISTENERS = 64
"""The most listeners of a stream."""

ACCEPTED_PER_ROUND = 32
"""The most connections that are accepted in one round of the agent's loop."""

LISTENER_INTERVAL = 1.0
"""Seconds after which a listener that could accept nothing tries again, and after which its file is looked for."""

SPARE_FDS = 64
"""So many descriptors are left for commands and links: no connection uses them."""

Done = Union[socket.socket, Listener]


class Forwards:
    """All that is forwarded in one stream.

    In each round of its loop, the caller polls for `wanted`, until `deadline` at most, and calls `serve`.

    Args:
        channels: the channels of the stream. Connections of listeners are opened there.
        lookups: looks up names for all streams of the agent.
    """

    def __init__(self, channels: Channels, context: Context, lookups: Lookups) -> None:
        self._channels, self._context, self._lookups = channels, context, lookups
        self._works: Dict[Channel, Work[Any]] = {}  # what is being connected, or begins to listen
        self._listeners: Dict[Channel, Listener] = {}
        self._listening: Dict[int, Channel] = {}  # the listeners by their descriptors
        self._check_at: Optional[float] = None
        self._paused = False  # nothing is accepted before `_check_at`
        self._connections: Dict[Channel, Connection] = {}
        self._sockets: Dict[int, Connection] = {}
        self._masks: Dict[int, int] = {}  # what to poll for, for each connection
        self._due: Dict[Channel, Connection] = {}  # something has come in their channels
        self._standing: Set[Connection] = set()  # they are not read, because their channels have no room
        self._accepted = 0  # how many of the connections came to a listener
        self._turn = 0

    @property
    def needed(self) -> bool:
        """True if something is forwarded."""
        return bool(self._works or self._listeners or self._connections)

    # ------------------------------------------------------------------ poll

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        for connection in [connection for connection in self._standing if not connection.stands]:
            self._watch(connection)
        wanted = dict(self._masks)
        for work in self._works.values():
            wanted.update(work.wanted)
        if not self._paused and self._accepts:
            wanted.update(dict.fromkeys(self._listening, READ))
        return wanted

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        if self._due:
            return self._context.clock()
        due = [work.until for work in self._works.values()]
        return min(due + ([] if self._check_at is None else [self._check_at]), default=None)

    @property
    def _accepts(self) -> bool:
        """True if a listener may accept a connection now."""
        return self._accepted < MAX_ACCEPTED and self._channels.fits("accepted")

    # ------------------------------------------------------------------ what arrives

    def happened(self, event: Event) -> bool:
        """Acts on an event of a channel. Returns False, and does nothing, if the channel belongs to something else."""
        channel = event.channel
        if event.type == OPEN and channel.kind in KINDS:
            self._open(channel, event.value)
        elif channel in self._connections:
            self._connection(self._connections[channel], event.type)
        elif channel in self._works and event.type == CLOSE:
            self._works.pop(channel).close()
        elif channel in self._listeners and event.type == CLOSE:
            self._close(channel)
        else:
            return channel in self._works or channel in self._listeners
        return True

    def _open(self, channel: Channel, fields: Dict[str, Any]) -> None:
        context = self._context
        listeners = sum(channel.kind == "listen" for channel in (*self._works, *self._listeners))
        until = context.clock() + context.timeouts.dial_timeout
        if context.forbidden:
            channel.refuse(FORBIDDEN, context.forbidden)
        elif channel.kind == "listen" and listeners >= MAX_LISTENERS:
            channel.refuse(LIMIT, "no more than %d listeners" % MAX_LISTENERS)
        elif channel.kind == "listen":
            self._works[channel] = Work(listen(fields, self._lookups, until))
        elif len(self._works) + len(self._connections) >= MAX_CHANNELS:
            channel.refuse(LIMIT, "no more than %d connections" % MAX_CHANNELS)
        else:
            self._works[channel] = Work(dial(fields, self._lookups, until, context.clock))

    def _connection(self, connection: Connection, kind: int) -> None:
        if kind == REFUSED:
            connection.abort()
        elif kind == CLOSE:
            connection.closed()
        elif kind == STOP:
            connection.stopped()
        if connection.over:
            self._watch(connection)  # at once, before another socket gets this descriptor
            self._due.pop(connection.channel, None)
        else:
            self._due[connection.channel] = connection

    # ------------------------------------------------------------------ one round

    def serve(self, now: float, events: Dict[int, int]) -> Dict[int, int]:
        """Moves bytes, connects, and accepts connections.

        Returns a READ event for each descriptor from which bytes were read, because it may have more.

        Args:
            now: the time, in monotonic seconds.
            events: what poll reported, as a mask for each descriptor. Other descriptors are ignored.

        Raises:
            StreamError: too much waits to be sent, because the peer does not take it.
        """
        for channel, work in list(self._works.items()):
            self._go_on(channel, work, events, now)
        if self._listeners:
            self._serve_listeners(events, now)
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
            self._accepted -= connection.channel.opener
            return
        self._masks[connection.fd] = connection.wanted
        if connection.stands:
            self._standing.add(connection)

    # ------------------------------------------------------------------ targets and listeners

    def _go_on(self, channel: Channel, work: Work[Any], events: Dict[int, int], now: float) -> None:
        if channel.state is State.CLOSED:
            del self._works[channel]
            work.close()
            return
        if now >= work.until and work.wanted:
            # It may have been answered while nobody polled: the link was lost, or this process stood still.
            poller = Poller()
            poller.watch(work.wanted)
            events = poller.wait(0)
        try:
            done = work.step(events, now)
        except CannotForward as refused:
            self._refuse(channel, refused.code, str(refused))
        except OSError as error:
            self._refuse(channel, LIMIT, reason(error))
        else:
            if done is not None:
                del self._works[channel]
                self._begin(channel, done)

    def _refuse(self, channel: Channel, code: str, words: str) -> None:
        del self._works[channel]
        channel.refuse(code, words)

    def _begin(self, channel: Channel, done: Done) -> None:
        if isinstance(done, Listener):
            self._listeners[channel] = done
            self._listening.update(dict.fromkeys(done.fds, channel))
            self._check_at = self._context.clock() + LISTENER_INTERVAL
            self._context.log("listens on %s for the client" % done.where)
            channel.accept(**done.opened)
        elif _scarce(done.fileno()):
            done.close()
            channel.refuse(LIMIT, "the agent has too many open files")
        else:
            self._add(channel, done)
            channel.accept()

    def _add(self, channel: Channel, sock: socket.socket) -> None:
        connection = Connection(channel, sock)
        self._connections[channel] = self._sockets[connection.fd] = self._due[channel] = connection

    def _serve_listeners(self, events: Dict[int, int], now: float) -> None:
        if self._check_at is not None and now >= self._check_at:
            self._paused = False
            for channel in [channel for channel, listener in self._listeners.items() if listener.removed]:
                self._died(channel, "its file was removed")
            files = any(listener.is_file for listener in self._listeners.values())
            self._check_at = now + LISTENER_INTERVAL if files else None
        left = ACCEPTED_PER_ROUND
        for fd in events.keys() & self._listening.keys():
            while left and not self._paused and fd in self._listening and self._accept(fd):
                left -= 1

    def _accept(self, fd: int) -> bool:
        """Accepts a connection, and opens a channel for it. Returns False if there is no more for now."""
        channel = self._listening[fd]
        if not self._accepts:
            return False
        try:
            found = self._listeners[channel].accept(fd)
        except OSError as error:
            if passes(error):
                self._pause()
            else:
                self._died(channel, reason(error))
            return False
        if found is None:
            return False
        sock, peer = found
        if _scarce(sock.fileno()):
            sock.close()
            self._pause()
            return False
        self._accepted += 1
        self._add(self._channels.open("accepted", listener=channel.number, peer=peer), sock)
        return True

    def _pause(self) -> None:
        self._paused, self._check_at = True, self._context.clock() + LISTENER_INTERVAL

    def _died(self, channel: Channel, why: str) -> None:
        words = "%s: %s" % (self._listeners[channel].where, why)
        self._close(channel)
        self._context.log("does not listen any more: " + words)
        channel.close(Reason("lost", words))

    def _close(self, channel: Channel) -> None:
        listener = self._listeners.pop(channel)
        for fd in listener.fds:
            del self._listening[fd]
        listener.close()
        if not self._listeners:
            self._check_at, self._paused = None, False

    def end(self) -> None:
        """Ends everything, because the stream has ended: connections are reset, and nothing is accepted any more."""
        for work in self._works.values():
            work.close()
        self._works.clear()
        for channel in list(self._listeners):
            self._close(channel)
        for connection in self._connections.values():
            connection.abort()
        self._connections.clear()
        self._sockets.clear()
        self._masks.clear()
        self._due.clear()
        self._standing.clear()
        self._accepted = 0


def _scarce(fd: int) -> bool:
    """True if the descriptor `fd` is one of the last ones, which are kept for commands and links."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit != resource.RLIM_INFINITY and fd >= limit - min(SPARE_FDS, limit // 4)
