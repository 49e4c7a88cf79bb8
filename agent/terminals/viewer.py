"""Connects a terminal with a client that shows it, over a channel of the client's stream."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from agent.poller import READ
from agent.process.context import Context
from agent.process.terminal_child import READ_SIZE
from agent.terminals.description import result_of
from agent.terminals.interfaces import Leave, Streaming
from agent.terminals.queries import is_typed, without_queries
from agent.terminals.ring import MAX_KEPT, MIN_KEPT
from agent.terminals.terminal import Terminal
from medusa.protocol.channels.channel import Channel
from medusa.protocol.channels.frames import CLOSE, DATA, REQUEST, STOP, Reason
from medusa.protocol.channels.kinds import STDIN, STDOUT
from medusa.protocol.control import Resize
from medusa.protocol.resume.budget import Budget
from medusa.protocol.terminal.usual import RESET
from medusa.signal_pipe import signal_number

MAX_BEHIND = 256 * 1024
"""Bytes. If there is so much output that a client has not taken when it begins to type, most of it is left out."""

_LEFT_OUT = b"\r\n[%d bytes of output were left out]\r\n"

_DROPPED = b"\r\n[%d bytes of output were dropped while nobody watched]\r\n"

_WHOLE_SCREEN = b"\x1b7\x1b[r\x1b8"
"""Ends a scroll region, as an emulator does if its size changes. It saves and restores the cursor, which would jump."""


class Viewer:
    """A client that shows a terminal. It has the methods of SessionChannel in agent/streams/session_channel.py.

    Args:
        channel: a channel of the client's stream. The caller accepts it after it has made this object.
        stream: the client's stream.
        size: the size of the client's own terminal; None if it is not known.
        read_only: True if the client may not type.

    Attributes:
        over: True if the client has left the terminal.
    """

    def __init__(
        self,
        channel: Channel,
        terminal: Terminal,
        context: Context,
        stream: Streaming,
        size: Optional[Resize],
        *,
        read_only: bool = False,
    ) -> None:
        self._channel, self._terminal, self._context, self._stream = channel, terminal, context, stream
        self.size, self.read_only = size, read_only
        self._input = None if read_only else channel.readers[STDIN]
        self._position = 0  # the number of the next byte to send: each client reads at its own pace
        self._replay = memoryview(b"")  # older output, which is sent before all other
        self._budget = Budget(2 * MAX_KEPT, terminal.memory)
        self._dropped = 0  # lost bytes of output that no client was sent: this client is told their number
        self._fed = False  # True if input was written after the last attempt to read output
        self._redraws = False  # True if output was left out: programs must draw their screen anew after the rest
        self._leave_at: Optional[float] = None
        self.over = False

    @property
    def parted_at(self) -> Optional[float]:
        """The time, in monotonic seconds, since which the stream has no link; None if it has one."""
        return self._stream.parked_since

    @property
    def keep(self) -> float:
        """The number of seconds for which the stream is kept without a link."""
        return self._stream.keep

    @property
    def opened(self) -> Dict[str, Any]:
        """The fields of the answer by which the client is told that its channel is accepted."""
        terminal, size = self._terminal, self._terminal.size
        return {
            "terminal": terminal.number,
            "name": terminal.name,
            "pid": terminal.child.pid,
            "size": {"columns": size.columns, "lines": size.lines},
            "dropped": self._dropped,
        }

    @property
    def needed(self) -> bool:
        """True if the client's stream must be kept. False if the command has ended and a client was told so."""
        return not (self._terminal.ended and self._terminal.told)

    @property
    def children(self) -> List[Any]:
        """An empty list: the terminal's command need not end when the channel ends."""
        return []

    # ------------------------------------------------------------------ poll

    def wanted(self) -> Dict[int, int]:
        """Returns an empty dict: the terminal's descriptor is polled once for all viewers together."""
        return {}

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        ready = self.over or (self._free if self._behind else self._terminal.ended)
        return self._context.clock() if ready and self._stream.parked_since is None else self._leave_at

    @property
    def _behind(self) -> bool:
        return bool(self._replay) or self._position < self._terminal.ring.end

    @property
    def _free(self) -> int:
        """The number of bytes that the channel takes now. 0 while earlier bytes wait to be sent."""
        return 0 if self._stream.parked_since is not None else self._channel.free(STDOUT)

    @property
    def room(self) -> int:
        """The number of bytes of new output that the client takes now. 0 until it has taken all earlier output."""
        return 0 if self._behind else self._free

    @property
    def has_input(self) -> bool:
        """True if the client has sent input that the terminal has not accepted yet."""
        return self._input is not None and len(self._input) > 0

    # ------------------------------------------------------------------ bytes

    def serve(self, now: float, events: Mapping[int, int]) -> Dict[int, int]:
        """Moves bytes in both directions.

        Returns a READ event for the terminal's descriptor if output was moved and there may be more; otherwise {}.

        Args:
            now: the time, in monotonic seconds.
            events: what poll reported, as a mask for each descriptor.

        Raises:
            StreamError: too much waits to be sent, because the peer does not take it.
        """
        if self.over:
            return {}
        terminal, child = self._terminal, self._terminal.child
        if self._fed or self.has_input or child.exit is not None or (child.fd in events and not self._behind):
            terminal.serve(now, None if self._fed else events)  # the echo may have come meanwhile
            self._fed = False
        if self._leave_at is not None and (now >= self._leave_at or not self.has_input):
            self.close(Reason("detached", ""))
            terminal.leave(self, Leave.DETACHED, now)
            return {}
        moved = self._move()
        behind = self._behind
        if terminal.ended and not behind and self._stream.parked_since is None:
            self._report(now)
        elif self._redraws and not behind:
            self._redraws = False
            terminal.redraw(now)
        return {child.fd: READ} if moved and (behind or child.more) else {}

    def feed(self, now: float) -> None:
        """Writes the client's input to the terminal, as much as the terminal accepts."""
        reader, child = self._input, self._terminal.child
        if reader is None or not len(reader) or child.fd < 0:
            return
        if child.exit is not None:
            reader.stop()
            return
        pieces, size = reader.pieces(), 0
        if self._terminal.typist is not self:
            if not is_typed(b"".join(pieces)):
                reader.took(len(reader), now)
                return
            self._terminal.typed(self)
        for piece in pieces:
            taken = child.write(piece)
            taken = len(piece) if taken is None else taken  # None: no process has the terminal open, so drop it
            size += taken
            if taken < len(piece):
                break
        if size:
            reader.took(size, now)
            self._fed = True

    def _move(self) -> int:
        ring = self._terminal.ring
        if self._channel.writers[STDOUT].stopped:
            self._position, self._replay = ring.end, memoryview(b"")
        size = min(self._free, READ_SIZE) if self._behind else 0
        if not size:
            return 0
        if self._position < ring.start and not self._replay:
            self._skip()
        if self._replay:
            data, self._replay = bytes(self._replay[:size]), self._replay[size:]
            self._budget.use(len(self._replay) - self._budget.used)
        else:
            data = ring.read(self._position, size)
            self._position += len(data)
        ring.sent(self._position)
        self._channel.write(STDOUT, data)
        return len(data)

    # ------------------------------------------------------------------ output that was not sent at its time

    def replay(self, size: int) -> None:
        """Makes the client show about the last `size` bytes of output first."""
        self._begin(size)

    def catch_up(self) -> None:
        """Skips most of the output that was not sent yet, if there is much of it."""
        if self._terminal.ring.end - self._position > MAX_BEHIND:
            self._skip()

    def _skip(self) -> None:
        self._begin(MIN_KEPT, self._position)
        self._redraws = True

    def _begin(self, size: int, before: Optional[int] = None) -> None:
        ring = self._terminal.ring
        replay = ring.replay(min(size, max(MIN_KEPT, self._budget.free)))
        output = without_queries(ring.read(replay.offset, ring.end - replay.offset))
        note = b"" if before is None else _LEFT_OUT % (replay.offset - before)
        self._position = ring.end
        region = _WHOLE_SCREEN if self.size != self._terminal.size else b""
        dropped = self._dropped = ring.unseen(replay.offset)
        # At the end, because the start of so much output has left the screen before the user looks.
        end = _DROPPED % dropped if dropped and before is None and ring.takes_note else b""
        self._replay = memoryview(b"".join((RESET, note, replay.prefix, output, region, end)))
        self._budget.use(len(self._replay) - self._budget.used)

    # ------------------------------------------------------------------ the end

    def _report(self, now: float) -> None:
        end = self._terminal.child.exit
        assert end is not None
        self._channel.result(**result_of(end))
        self.close(Reason())
        self._terminal.leave(self, Leave.TOLD, now)

    def close(self, reason: Reason) -> None:
        """Closes the channel. The caller removes this viewer from the terminal."""
        self._channel.close(reason)
        self._end()

    def end(self, why: Leave) -> None:
        """Leaves the terminal. Ends the terminal if no viewer that may type is left.

        The terminal is not ended if it was detached (left running for a later client). If the client has asked to
        detach, and the agent has not done that yet, the terminal counts as detached.

        Args:
            why: the reason why the client leaves.
        """
        if not self.over:
            now = self._context.clock()
            if self._leave_at is not None:
                why = Leave.DETACHED
                self.feed(now)
            self._end()
            self._terminal.leave(self, why, now)

    def _end(self) -> None:
        self.over = True
        self._replay = memoryview(b"")
        self._budget.leave()

    # ------------------------------------------------------------------ what arrives

    def happened(self, kind: int, sub: int, value: Any) -> None:
        """Acts on an event of the channel. Ignores EOF.

        Args:
            kind: the type of the frame that has arrived, such as CLOSE.
            value: if the frame is a REQUEST, its fields.
        """
        if kind == DATA:
            self.feed(self._context.clock())
        elif kind == CLOSE:
            self.end(Leave.CLOSED)
        elif kind == STOP:
            self._terminal.hang_up(self)
        elif kind == REQUEST and value["type"] == "detach":
            self._leave_at = self._context.clock() + self._context.timeouts.detach_grace
        elif kind == REQUEST and not self.read_only:
            self._request(value)

    def _request(self, fields: Mapping[str, Any]) -> None:
        if fields["type"] == "resize":
            self.size = Resize(fields["columns"], fields["lines"])
            self._terminal.resize(self)
        elif fields["type"] == "signal":
            number = signal_number(fields["name"])
            if number is not None:
                self._terminal.child.signal(number)
