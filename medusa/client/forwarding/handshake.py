"""Reads a SOCKS request from a socket, or from a channel, without taking a byte too much."""

from __future__ import annotations

import contextlib
import socket

from medusa.client.places.socks import NotSocks, Socks
from medusa.client.places.specs import Place
from medusa.protocol.channels.channel import Channel

TIMEOUT = 20.0
"""Seconds for a program to send its whole request."""

_SIZE = 1024
"""The most bytes that are looked at in one step. A request is shorter."""

_REST = 64 * 1024
"""The most bytes that are read and dropped of what is no request. If some were left, the answer could get lost: the
system resets a connection that is closed before all of its bytes were read."""


class SocketHandshake:
    """The SOCKS request of a program that has connected to a socket of this machine.

    Args:
        sock: the connected socket, which does not block.
        until: the time at which the program has to have sent its request.

    Attributes:
        heard: True if the program has sent anything.
    """

    def __init__(self, sock: socket.socket, until: float) -> None:
        self.sock, self.until, self.heard = sock, until, False
        self.socks = Socks()

    def step(self) -> bool:
        """Reads what has come. Returns False if the connection has to be closed.

        `socks.target` is set if the request is complete.

        Raises:
            NotSocks: the request cannot be carried out. The answer was sent.
        """
        try:
            data = self.sock.recv(_SIZE, socket.MSG_PEEK)  # what follows the request stays in the socket
            if not data:
                return False
            self.heard = True
            step = self.socks.feed(data)
            self.sock.recv(step.used)
            return self.answer(step.answer)
        except BlockingIOError:
            return True
        except NotSocks as wrong:
            self.answer(wrong.answer)
            with contextlib.suppress(OSError):
                self.sock.recv(_REST)
            raise
        except OSError:
            return False

    def answer(self, data: bytes) -> bool:
        """Sends an answer. Returns False if the program is gone."""
        try:
            return not data or self.sock.send(data) == len(data)  # a few bytes, which a new socket takes
        except OSError:
            return False


class ChannelHandshake:
    """The SOCKS request of a program that has connected to a socket of the job.

    Args:
        channel: the channel of the connection, which this end has accepted.
        until: the time at which the program has to have sent its request.
    """

    def __init__(self, channel: Channel, until: float) -> None:
        self.channel, self.until = channel, until
        self.socks = Socks()

    def step(self, now: float) -> bool:
        """Reads what has come. Returns False if the connection has to be closed. Raises as SocketHandshake does."""
        reader = self.channel.readers[0]
        data = b"".join(reader.pieces())[:_SIZE]
        try:
            step = self.socks.feed(data)
        except NotSocks as wrong:
            self.answer(wrong.answer)
            raise
        reader.took(step.used, now)
        return self.answer(step.answer) and (self.target is not None or not reader.over)

    def answer(self, data: bytes) -> bool:
        """Sends an answer. Returns False if there is no room for it, as there is in every new channel."""
        if len(data) > self.channel.room(0):
            return False
        self.channel.write(0, data)
        return True

    @property
    def target(self) -> Place | None:
        """The place that the program asks for; None until its request is complete."""
        return self.socks.target
