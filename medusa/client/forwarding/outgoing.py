"""Connects programs of this machine with places that the job can reach."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from medusa.client.forwarding.handshake import TIMEOUT, SocketHandshake
from medusa.client.forwarding.report import Report
from medusa.client.places.socks import NotSocks
from medusa.client.places.specs import Forward, Place
from medusa.protocol.channels.channel import Channel, Event, TooManyChannels
from medusa.protocol.channels.frames import CLOSE, OPENED, REFUSED, Reason
from medusa.protocol.channels.multiplexer import Channels
from medusa.transports.forwarding.connection import Connection
from medusa.transports.forwarding.connections import Connections
from medusa.transports.forwarding.refusal import LIMIT

MAX_HANDSHAKES = 256
"""The most programs that have connected and have not sent their whole SOCKS request. Others wait in the kernel."""

SILENT_TIMEOUT = 1.0
"""Seconds after which a program that has sent nothing is dropped if another program waits for its place."""


class _Opening(NamedTuple):
    """A connection that the job is asked to make."""

    sock: socket.socket
    handshake: SocketHandshake | None


class Outgoing:
    """The connections of one session from this machine to the job.

    Args:
        channels: the channels of the stream.
        connections: gets the connections that were made.
        clock: a function that returns monotonic seconds.
    """

    def __init__(
        self,
        channels: Channels,
        connections: Connections,
        report: Report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels, self._connections, self._report, self._clock = channels, connections, report, clock
        self._handshakes: dict[int, SocketHandshake] = {}
        self._openings: dict[Channel, _Opening] = {}

    @property
    def takes_more(self) -> bool:
        """True if one more connection may be accepted."""
        return self._channels.fits("tcp") and self._clock() >= self._room_at

    def add(self, forward: Forward, sock: socket.socket) -> None:
        """Takes a connection that a program of this machine has made. Call it only while `takes_more` is True."""
        if forward.target is None:
            silent = self._first_silent
            if silent is not None and len(self._handshakes) >= MAX_HANDSHAKES:
                self._drop(silent)
            self._handshakes[sock.fileno()] = SocketHandshake(sock, self._clock() + TIMEOUT)
        else:
            self._open(sock, forward.target)

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        return dict.fromkeys(self._handshakes, select.POLLIN)

    def deadline(self) -> float:
        """Returns the time at which to call `act` even without an event."""
        times = [handshake.until for handshake in self._handshakes.values()]
        if self._room_at > self._clock():
            times.append(self._room_at)
        return min(times, default=math.inf)

    @property
    def _first_silent(self) -> SocketHandshake | None:
        """The program that has connected first of those that have sent nothing; None if there is none."""
        return next((handshake for handshake in self._handshakes.values() if not handshake.heard), None)

    @property
    def _room_at(self) -> float:
        """The time from which on one more program may connect; infinity if a request has to end first."""
        if len(self._handshakes) < MAX_HANDSHAKES:
            return -math.inf
        silent = self._first_silent
        return math.inf if silent is None else silent.until - TIMEOUT + SILENT_TIMEOUT

    def _drop(self, handshake: SocketHandshake) -> None:
        del self._handshakes[handshake.sock.fileno()]
        handshake.sock.close()

    def act(self, events: Mapping[int, int]) -> None:
        """Goes on with the SOCKS requests that have come or are late."""
        now = self._clock()
        for fd, handshake in list(self._handshakes.items()):
            if fd in events:
                self._read(fd, handshake)
            elif now >= handshake.until:
                self._drop(handshake)

    def _read(self, fd: int, handshake: SocketHandshake) -> None:
        try:
            goes_on = handshake.step()
        except NotSocks as wrong:
            self._report.problem(f"not forwarded: {wrong}")
            goes_on = False
        target = handshake.socks.target
        if not goes_on:
            self._drop(handshake)
        elif target is not None:
            del self._handshakes[fd]
            self._open(handshake.sock, target, handshake)

    def _open(self, sock: socket.socket, target: Place, handshake: SocketHandshake | None = None) -> None:
        opening = _Opening(sock, handshake)
        try:
            self._openings[self._channels.open(target.kind, **target.fields)] = opening
        except TooManyChannels as error:
            self._report.problem(f"not forwarded: {error}")
            _refuse(opening, LIMIT)

    def happened(self, event: Event) -> bool:
        """Acts on an event of a channel. Returns False, and does nothing, if it is not the channel of a connection."""
        opening = self._openings.get(event.channel)
        if opening is None:
            return False
        if event.type == OPENED:
            del self._openings[event.channel]
            self._begin(event.channel, opening)
        elif event.type in (REFUSED, CLOSE):
            del self._openings[event.channel]
            self._report.refused(event.value)
            _refuse(opening, event.value.code)
        return True

    def _begin(self, channel: Channel, opening: _Opening) -> None:
        if opening.handshake is not None and not opening.handshake.answer(opening.handshake.socks.granted()):
            channel.close(Reason("reset", "the program is gone"))
            opening.sock.close()
            return
        self._connections.add(Connection(channel, opening.sock))

    def close(self) -> None:
        """Closes the connections that were not made yet."""
        for handshake in self._handshakes.values():
            handshake.sock.close()
        for opening in self._openings.values():
            opening.sock.close()
        self._handshakes.clear()
        self._openings.clear()


def _refuse(opening: _Opening, code: str) -> None:
    """Closes the connection of a program, after an answer by SOCKS if the program has asked by SOCKS."""
    if opening.handshake is not None:
        opening.handshake.answer(opening.handshake.socks.refused(code))
    with contextlib.suppress(OSError):
        opening.sock.shutdown(socket.SHUT_WR)
    opening.sock.close()
