"""All that is forwarded in one stream: connects and listens for the client, and passes the bytes of all connections."""

from __future__ import annotations

import resource
import socket
from typing import Any, Dict, Optional, Union

from agent.poller import READ, Poller
from agent.process.context import Context
from medusa.protocol.channels.channel import Channel, Event, State
from medusa.protocol.channels.frames import CLOSE, OPEN, Reason
from medusa.protocol.channels.kinds import FORWARDED
from medusa.protocol.channels.limits import MAX_CHANNELS
from medusa.protocol.channels.multiplexer import Channels
from medusa.transports.dial.tcp import reason
from medusa.transports.forwarding.connection import Connection
from medusa.transports.forwarding.connections import Connections
from medusa.transports.forwarding.dialling import dial
from medusa.transports.forwarding.listening import Listener, listen, passes
from medusa.transports.forwarding.lookups import Lookups
from medusa.transports.forwarding.refusal import FORBIDDEN, LIMIT, CannotForward
from medusa.transports.steps import Work

MAX_ACCEPTED = 512
"""The most connections of all listeners of a stream at once: some channels are left for what the client opens."""

MAX_LISTENERS = 64
"""The most listeners of a stream."""

ACCEPTED_PER_ROUND = 32
"""The most connections that are accepted in one round of the agent's loop."""

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
        self._connections = Connections()

    @property
    def needed(self) -> bool:
        """True if something is forwarded."""
        return bool(self._works or self._listeners or self._connections)

    # ------------------------------------------------------------------ poll

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        wanted = self._connections.wanted()
        for work in self._works.values():
            wanted.update(work.wanted)
        if not self._paused and self._accepts:
            wanted.update(dict.fromkeys(self._listening, READ))
        return wanted

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        if self._connections.due:
            return self._context.clock()
        due = [work.until for work in self._works.values()]
        return min(due + ([] if self._check_at is None else [self._check_at]), default=None)

    @property
    def _accepts(self) -> bool:
        """True if a listener may accept a connection now."""
        return self._connections.opened < MAX_ACCEPTED and self._channels.fits("accepted")

    # ------------------------------------------------------------------ what arrives

    def happened(self, event: Event) -> bool:
        """Acts on an event of a channel. Returns False, and does nothing, if the channel belongs to something else."""
        channel = event.channel
        if event.type == OPEN and channel.kind in FORWARDED:
            self._open(channel, event.value)
        elif self._connections.happened(event):
            return True
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

    # ------------------------------------------------------------------ one round

    def serve(self, now: float, events: Dict[int, int]) -> Dict[int, int]:
        """Moves bytes, connects, and accepts connections.

        Returns a READ event for each descriptor that may have more bytes than were read.

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
        return self._connections.serve(now, events)

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
            self._check_at = self._context.clock() + self._context.timeouts.listener_interval
            self._context.log("listens on %s for the client" % done.where)
            channel.accept(**done.opened)
        elif _scarce(done.fileno()):
            done.close()
            channel.refuse(LIMIT, "the agent has too many open files")
        else:
            self._connections.add(Connection(channel, done))
            channel.accept()

    def _serve_listeners(self, events: Dict[int, int], now: float) -> None:
        if self._check_at is not None and now >= self._check_at:
            self._paused = False
            for channel in [channel for channel, listener in self._listeners.items() if listener.removed]:
                self._died(channel, "its file was removed")
            files = any(listener.is_file for listener in self._listeners.values())
            self._check_at = now + self._context.timeouts.listener_interval if files else None
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
        channel = self._channels.open("accepted", listener=channel.number, peer=peer)
        self._connections.add(Connection(channel, sock))
        return True

    def _pause(self) -> None:
        self._paused, self._check_at = True, self._context.clock() + self._context.timeouts.listener_interval

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
        self._connections.abort()


def _scarce(fd: int) -> bool:
    """True if the descriptor `fd` is one of the last ones, which are kept for commands and links."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit != resource.RLIM_INFINITY and fd >= limit - min(SPARE_FDS, limit // 4)
