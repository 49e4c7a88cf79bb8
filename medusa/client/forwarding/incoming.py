"""Connects programs in the job with places that this machine can reach."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from medusa.client.forwarding.handshake import TIMEOUT, ChannelHandshake
from medusa.client.forwarding.report import MAX_WORDS, Report
from medusa.client.places.socks import NotSocks
from medusa.client.places.specs import Forward, Place
from medusa.protocol.channels.channel import Channel, Event, State
from medusa.protocol.channels.frames import CLOSE, OPEN, OPENED, REFUSED
from medusa.protocol.channels.multiplexer import Channels
from medusa.protocol.printable import printable
from medusa.transports.dial.tcp import reason
from medusa.transports.forwarding.connection import Connection
from medusa.transports.forwarding.connections import Connections
from medusa.transports.forwarding.dialling import dial
from medusa.transports.forwarding.lookups import Lookups
from medusa.transports.forwarding.refusal import IN_USE, LIMIT, NOT_PERMITTED, CannotForward
from medusa.transports.forwarding.refusal import REFUSED as CODE_REFUSED
from medusa.transports.steps import Work

DIAL_TIMEOUT = 20.0
"""Seconds to connect to a target. The agent waits for 30 s."""


class _Dialling(NamedTuple):
    """A connection that is being made here, for a channel that the agent has opened."""

    work: Work[socket.socket]
    handshake: ChannelHandshake | None


class Incoming:
    """The connections of one session from the job to this machine, and the listeners in the job.

    Args:
        channels: the channels of the stream.
        connections: gets the connections that were made.
        lookups: looks up the names of targets.
        clock: a function that returns monotonic seconds.
    """

    def __init__(
        self,
        channels: Channels,
        connections: Connections,
        lookups: Lookups,
        report: Report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels, self._connections, self._lookups = channels, connections, lookups
        self._report, self._clock = report, clock
        self._listeners: dict[Channel, Forward] = {}
        self._known: dict[int, Forward] = {}  # also of listeners that have ended, whose last connections may still come
        self._places: dict[Channel, Place] = {}
        self._dialling: dict[Channel, _Dialling] = {}
        self._handshakes: dict[Channel, ChannelHandshake] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self, forward: Forward) -> None:
        """Asks the agent to listen for `forward`."""
        channel = self._channels.open("listen", **forward.listen.fields)
        self._listeners[channel] = self._known[channel.number] = forward
        self._places[channel] = forward.listen

    # ------------------------------------------------------------------ what arrives

    def happened(self, event: Event) -> bool:
        """Acts on an event of a channel. Returns False, and does nothing, if its channel belongs to something else."""
        channel = event.channel
        if event.type == OPEN and channel.kind == "accepted":
            self._accepted(channel, event.value["listener"])
        elif channel in self._listeners:
            self._on_listener(event, self._listeners[channel])
        elif channel in self._dialling:
            if event.type == CLOSE:
                self._dialling.pop(channel).work.close()
        elif channel in self._handshakes:
            self._read(channel)
        else:
            return False
        return True

    def _on_listener(self, event: Event, forward: Forward) -> None:
        channel = event.channel
        if event.type == OPENED:
            self._places[channel] = _place(event.value, forward.listen)
            self._report.forwarding(forward, self._places[channel])
        elif event.type == REFUSED:
            self._forget(channel)
            reason = event.value
            if reason.code in (IN_USE, NOT_PERMITTED):  # the words of others do not begin with the place
                reason = reason._replace(words=f"cannot listen on {reason.words or forward.listen}")
            self._report.refused(reason)
        elif event.type == CLOSE:
            words = printable(event.value.words, MAX_WORDS) or str(self._places[channel])
            self._report.problem(f"not forwarded any more: in the job, {words}")
            self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        del self._listeners[channel], self._places[channel]

    def _accepted(self, channel: Channel, listener: int) -> None:
        forward = self._known.get(listener)
        if forward is None:
            channel.refuse(CODE_REFUSED, "there is no such listener")
        elif forward.target is not None:
            self._dial(channel, forward.target)
        else:
            channel.accept()
            self._handshakes[channel] = ChannelHandshake(channel, self._clock() + TIMEOUT)

    def _read(self, channel: Channel) -> None:
        """Goes on with a SOCKS request, after something has happened in its channel."""
        handshake = self._handshakes[channel]
        try:
            goes_on = channel.state is State.OPEN and handshake.step(self._clock())
        except NotSocks as wrong:
            self._report.problem(f"not forwarded: {wrong}")
            goes_on = False
        if not goes_on or handshake.target is not None:
            del self._handshakes[channel]
        if not goes_on:
            _end(channel)
        elif handshake.target is not None:
            self._dial(channel, handshake.target, handshake)

    # ------------------------------------------------------------------ targets

    def _dial(self, channel: Channel, target: Place, handshake: ChannelHandshake | None = None) -> None:
        now = self._clock()
        work = Work(dial(target.fields, self._lookups, now + DIAL_TIMEOUT, self._clock))
        self._dialling[channel] = _Dialling(work, handshake)

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        return {fd: mask for item in self._dialling.values() for fd, mask in item.work.wanted.items()}

    def deadline(self) -> float:
        """Returns the time at which to call `act` even without an event."""
        due = [item.work.until for item in self._dialling.values()]
        return min([*due, *(handshake.until for handshake in self._handshakes.values())], default=math.inf)

    def act(self, events: Mapping[int, int]) -> None:
        """Goes on with making connections."""
        now = self._clock()
        for channel, item in list(self._dialling.items()):
            self._go_on(channel, item, events, now)
        for channel, handshake in list(self._handshakes.items()):
            if now >= handshake.until:
                del self._handshakes[channel]
                channel.close()

    def _go_on(self, channel: Channel, item: _Dialling, events: Mapping[int, int], now: float) -> None:
        if channel.state is State.CLOSED:
            del self._dialling[channel]
            item.work.close()
            return
        try:
            sock = item.work.step(events, now)
        except CannotForward as error:
            self._refuse(channel, item, error.code, str(error))
        except OSError as error:  # no descriptor is free
            self._refuse(channel, item, LIMIT, reason(error))
        else:
            if sock is not None:
                del self._dialling[channel]
                self._begin(channel, sock, item.handshake)

    def _begin(self, channel: Channel, sock: socket.socket, handshake: ChannelHandshake | None) -> None:
        channel.accept()
        if handshake is None or handshake.answer(handshake.socks.granted()):
            self._connections.add(Connection(channel, sock))
        else:
            sock.close()
            channel.close()

    def _refuse(self, channel: Channel, item: _Dialling, code: str, words: str) -> None:
        del self._dialling[channel]
        self._report.problem(f"not forwarded: on this machine, {printable(words, MAX_WORDS)}")
        if item.handshake is None:
            channel.refuse(code, words)
        else:
            item.handshake.answer(item.handshake.socks.refused(code))
            _end(channel)

    def close(self) -> None:
        """Gives up the connections that were not made yet."""
        for item in self._dialling.values():
            item.work.close()
        self._dialling.clear()
        self._handshakes.clear()


def _end(channel: Channel) -> None:
    """Closes a connection so that its program gets the last answer: without an EOF, the agent would reset it."""
    channel.end(0)
    channel.close()


def _place(fields: Mapping[str, object], asked: Place) -> Place:
    """Returns where the agent listens, as it has said in `fields`; `asked` if what it has said cannot be read."""
    host, port = fields.get("host"), fields.get("port")
    return Place(host, port) if not asked.path and isinstance(host, str) and isinstance(port, int) else asked
