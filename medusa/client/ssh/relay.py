"""Passes bytes between a channel of SSH and a channel of the agent, both ways, with half-close."""

from __future__ import annotations

from collections import deque
from typing import Any

from medusa.client.aio.channel_io import ChannelIO
from medusa.client.aio.errors import ChannelError, ChannelStopped
from medusa.client.ssh.transport.data_packets import DataPackets

PENDING_HIGH = 64 * 1024
"""Bytes. While as many wait for the agent's channel, the client's channel is not read: its window closes."""

READ_SIZE = 128 * 1024


class Relay:
    """One channel of SSH and one of the agent. asyncssh calls the methods of an SSHSession; subclasses say what ends.

    Args:
        packets: what carries SSH. While it is full, the agent's channel is not read: its window closes.
        outputs: the subs that the agent sends -> the datatype of SSH. None is the usual one.

    Attributes:
        told: True if the user was told why the conversation with the agent is over.
    """

    told = False

    def __init__(self, packets: DataPackets, outputs: dict[int, int | None]) -> None:
        self._packets, self._outputs = packets, outputs
        self._chan: Any = None
        self._io: ChannelIO | None = None
        self._pending: deque[bytes] = deque()
        self._pending_size = 0
        self._paused = self._held = self._feeding = self._eof = self._gone = self._discards = False
        self._ended: set[int] = set()

    def attach(self, io: ChannelIO) -> None:
        """Uses the agent's channel `io` from now on. Call it after `connection_made`, or before it."""
        self._io = io
        io.on_data, io.on_room = self._pump, self._feed
        self._feed()
        self.pump()

    def hand_over(self, session: Any) -> None:
        """Makes `session`, of asyncssh, take all that comes from the client, also what has come. Nothing is relayed.

        The end of the connection is still reported to this object.
        """
        for name in ("data_received", "eof_received", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(session, name))
        for data in self._pending:
            session.data_received(data, None)
        if self._eof:
            session.eof_received()
        if self._paused:
            session.pause_writing()
        if self._held:
            self._chan.resume_reading()

    def pump(self) -> None:
        """Passes on what has arrived from the agent. Call it after the transport was full."""
        for sub in self._outputs:
            self._pump(sub)

    # ------------------------------------------------------------------ what subclasses do

    def output_ended(self) -> None:
        """All outputs of the agent's channel have ended, and were passed on."""

    def failed(self, error: ChannelError) -> None:
        """The agent's channel was refused, or has ended before its time."""

    def left(self) -> None:
        """The client has closed its channel, or the connection is lost. All that it sent was passed on."""

    # ------------------------------------------------------------------ from the client

    def connection_made(self, chan: Any) -> None:
        self._chan = chan
        self.pump()

    def session_started(self) -> None:
        pass

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._discards:
            return
        self._pending.append(data)
        self._pending_size += len(data)
        self._feed()
        if self._pending_size >= PENDING_HIGH:
            self._held = True
            self._chan.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        self._feed()
        return True  # the other direction goes on

    def connection_lost(self, exc: Exception | None) -> None:
        # Without an error, the client has closed the channel. asyncssh does not report the EOF before that if the
        # channel was paused at that time.
        self._eof = self._eof or exc is None
        self._gone = True
        self._feed()

    # ------------------------------------------------------------------ to the agent

    def _feed(self, sub: int = 0) -> None:
        """Passes on what the client has sent, as much as the agent takes. Called again as soon as it takes more."""
        if self._io is None or self._feeding:
            return
        self._feeding = True  # to resume reading calls this method again
        try:
            while self._pending:
                taken = self._io.write_nowait(self._pending[0])
                whole = taken == len(self._pending[0])
                self._took(taken)
                if not whole:
                    break
        except ChannelError as error:
            self._cannot_write(error)
        finally:
            self._feeding = False
        if self._held and self._pending_size < PENDING_HIGH and not self._gone:
            self._held = False
            self._chan.resume_reading()
        if not self._pending:
            self._fed()

    def _took(self, size: int) -> None:
        data = self._pending[0]
        self._pending_size -= size
        if size == len(data):
            self._pending.popleft()
        else:
            self._pending[0] = data[size:]

    def _cannot_write(self, error: ChannelError) -> None:
        """Drops what the client sends from now on. If the channel has ended, reading it says so."""
        self._discards = True
        self._pending.clear()
        self._pending_size = 0
        if not isinstance(error, ChannelStopped):
            self.pump()

    def _fed(self) -> None:
        """All that the client has sent was passed on."""
        assert self._io is not None
        if self._eof:
            self._io.eof()
        if self._gone:
            self.left()

    # ------------------------------------------------------------------ to the client

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.pump()

    def _pump(self, sub: int) -> None:
        """Passes on what the agent has sent, as much as the client takes."""
        io, chan = self._io, self._chan
        if io is None or chan is None or self._gone or sub in self._ended:
            return
        try:
            while not (self._paused or self._packets.full):
                data = io.read_nowait(READ_SIZE, sub)
                if data is None:
                    return
                if not data:
                    self._ended.add(sub)
                    break
                self._packets.write(chan, data, self._outputs[sub])
        except ChannelError as error:
            self._ended.update(self._outputs)
            self.failed(error)
            return
        except BrokenPipeError:  # asyncssh: the channel is closing
            return
        if len(self._ended) == len(self._outputs):
            self.output_ended()
