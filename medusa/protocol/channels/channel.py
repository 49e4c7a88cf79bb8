"""One channel: accepts it, writes to it, sends requests, ends it. Also the events that report what has arrived."""

from __future__ import annotations

import enum
from collections import deque
from typing import Any, Deque, List, Mapping, NamedTuple, Optional, Tuple

from medusa.protocol.channels.frames import (
    CLOSE,
    DATA,
    EOF,
    HEADER,
    OPENED,
    REFUSED,
    REQUEST,
    RESULT,
    STOP,
    WINDOW,
    Reason,
    build_frame,
    build_json,
    build_reason,
)
from medusa.protocol.channels.kinds import KINDS, is_terminal, subs
from medusa.protocol.channels.limits import LEAST_PART, MAX_PAYLOAD, MAX_QUEUED, MIN_QUEUED, QUEUED_HIGH
from medusa.protocol.channels.outbox import Outbox
from medusa.protocol.channels.subs import Reader, Writer
from medusa.protocol.channels.windows import Windows
from medusa.protocol.errors import LocalProtocolError
from medusa.protocol.resume.byte_queue import SMALL, Buffer

NO_REASON = Reason()


class State(enum.Enum):
    """The states of a channel, as this end sees it."""

    OPENING = "this end has sent OPEN"
    OFFERED = "the peer has sent OPEN"
    OPEN = "the channel was accepted"
    CLOSED = "this end has closed it, and drops whatever comes until the peer has closed it too"


ALLOWED = {
    State.OPENING: frozenset((OPENED, REFUSED)),
    State.OFFERED: frozenset((EOF, STOP, WINDOW, REQUEST, CLOSE)),
    State.OPEN: frozenset((DATA, EOF, STOP, WINDOW, REQUEST, RESULT, CLOSE)),
}
"""State of a channel -> the types of frames that the peer may send.

In the state CLOSED it may send any: all but CLOSE and REFUSED are dropped.
"""


class Event(NamedTuple):
    """Reports that a frame, or the data of one or more DATA frames, has arrived.

    Attributes:
        type: the type of the frame. One DATA event stands for all data of a sub that one message has brought. A sub is
            one direction of bytes in a channel.
        channel: the channel of the frame; None for GOAWAY, which ends the whole stream.
        sub: the number of the sub, for DATA, EOF and STOP.
        value: for OPEN, OPENED, REQUEST and RESULT: the fields. For REFUSED, CLOSE and GOAWAY: the Reason. For EOF: ""
            if the data of the sub arrived as they were sent, otherwise an error code. For DATA and STOP: None.
    """

    type: int
    channel: Any
    sub: int = 0
    value: Any = None


class TooManyChannels(Exception):
    """Raised if this end cannot open one more channel now."""


class Channel:
    """One end of a channel. A channel carries bytes in one or more directions over a stream; each direction is a sub.

    A method that sends a frame raises StreamError (`overflow`) if too many frames wait to be sent. The caller then
    calls `Channels.fail`.

    Attributes:
        number: the channel's id.
        kind: the name of the channel's kind, such as `session`.
        opener: True if this end has opened the channel.
        has_result: True if the RESULT of the channel has arrived, or was queued to be sent.
        broken: True if this end has closed the channel because the peer broke a rule.
        readers: the Reader of each sub that the peer sends, by the number of the sub.
        writers: the Writer of each sub that this end sends, by the number of the sub.
    """

    def __init__(
        self, number: int, kind: str, parameters: Mapping[str, Any], opener: bool, outbox: Outbox, windows: Windows
    ) -> None:
        self.number, self.kind, self.opener = number, kind, opener
        self.state = State.OPENING if opener else State.OFFERED
        mine, other = subs(kind, parameters) if opener else reversed(subs(kind, parameters))
        terminal = opener and is_terminal(kind, parameters)
        self.readers = {sub: Reader(sub, number, windows, terminal, outbox.control) for sub in other}
        self.writers = {sub: Writer() for sub in mine}
        self.has_result = self.broken = False
        self._outbox = outbox
        self._queue: Deque[Tuple[int, int, Buffer]] = deque()  # type, sub, payload of frames that wait
        self._queued = 0
        if opener:
            self._start()  # so that the peer can send as soon as it has accepted the channel

    # ------------------------------------------------------------------ called by the user of the channel

    def accept(self, **parameters: object) -> None:
        """Accepts a channel that the peer has opened. Keyword arguments are the fields of the answer.

        Does nothing if the channel was closed, or was answered before.
        """
        if self.state is State.OFFERED:
            self._outbox.control(build_json(OPENED, self.number, parameters))
            self.state = State.OPEN
            self._start()
            for sub, writer in self.writers.items():
                if writer.ended:
                    self._put(EOF, sub, b"")

    def refuse(self, code: str, words: str) -> None:
        """Refuses a channel that the peer has opened. Does nothing if the channel was closed, or was answered before.

        Args:
            code: the reason, for the peer's program.
            words: the reason, for the peer's user.
        """
        if self.state is State.OFFERED:
            self._outbox.control(build_reason(REFUSED, self.number, Reason(code, words)))
            self._shut()

    def room(self, sub: int) -> int:
        """Returns how many bytes `write` accepts now for `sub`, the number of a sub (direction of bytes).

        Two limits count: the bytes that the peer allows, and the bytes that may wait in this process.
        """
        writer = self.writers[sub]
        if self.state is not State.OPEN or writer.ended:
            return 0
        queued = MAX_QUEUED if self._outbox.data < QUEUED_HIGH else MIN_QUEUED
        return max(0, min(writer.limit - writer.written, queued - self._queued))

    def write(self, sub: int, data: Buffer) -> None:
        """Queues `data` to be sent.

        `sub` is the number of the sub (direction of bytes). The bytes of `data` must not change later.

        Raises:
            LocalProtocolError: `data` has more than `room(sub)` bytes.
        """
        size = len(data)
        if size > self.room(sub):
            raise LocalProtocolError("%d bytes do not fit into sub %d of channel %d" % (size, sub, self.number))
        if not size:
            return
        self.writers[sub].wrote(data)
        self._queued += size
        self._outbox.data += size
        queue = self._queue
        if queue and queue[-1][:2] == (DATA, sub) and len(queue[-1][2]) + size <= SMALL:
            queue[-1] = (DATA, sub, b"".join((queue[-1][2], data)))
        else:
            self._put(DATA, sub, data)

    def end(self, sub: int) -> None:
        """Ends a sub (one direction of bytes). Its end is sent after all bytes that were written to it.

        Does nothing if the sub has ended already.
        """
        writer = self.writers[sub]
        if not writer.ended and self.state is not State.CLOSED:
            writer.ended = True
            if self.state is not State.OFFERED:  # otherwise `accept` does it, because OPENED comes first
                self._put(EOF, sub, b"")

    def request(self, name: str, /, **fields: object) -> None:
        """Sends the request `name`, such as `resize`, to the peer. Keyword arguments are the fields of the request.

        The request may overtake data that wait to be sent. Does nothing if the channel is closed, or if this end has
        not accepted it yet.
        """
        if self.state in (State.OPENING, State.OPEN):
            self._outbox.control(build_json(REQUEST, self.number, {"type": name, **fields}))

    def result(self, **fields: object) -> None:
        """Tells the peer how the command has ended, after the end of all output.

        Ends all subs (directions of bytes) that this end sends. Then sends a RESULT. Its field is the keyword argument:
        `status` or `signal`.
        """
        if self.state is State.OPEN and not self.has_result:
            self.has_result = True
            for sub in self.writers:
                self.end(sub)
            self._put(RESULT, 0, build_json(RESULT, self.number, fields))

    def close(self, reason: Reason = NO_REASON, *, at_once: bool = False) -> None:
        """Closes the channel. A CLOSE with `reason` is sent after all bytes that were written.

        With `at_once`, drops the written bytes that were not sent yet. Bytes that arrive from now on are dropped.
        Refuses the channel if it was not accepted yet.
        """
        if self.state is State.OFFERED:
            self.refuse(reason.code or "closed", reason.words)
        elif self.state is not State.CLOSED:
            if at_once:
                self._drop()
            self._put(CLOSE, 0, build_reason(CLOSE, self.number, reason))
            self._shut()

    # ------------------------------------------------------------------ called by the multiplexer

    def allows(self, kind: int) -> bool:
        """Returns True if the peer may send a frame of type `kind` now.

        Call it only if this end has not closed the channel.

        A RESULT is allowed only once, and only after the end of all subs (directions of bytes) that the peer sends.
        """
        if kind == RESULT and (not self.opener or self.has_result or not KINDS[self.kind].result):
            return False
        if kind == RESULT and not all(reader.over for reader in self.readers.values()):
            return False
        return kind in ALLOWED[self.state]

    def closed(self) -> None:
        """Notes that the peer has closed the channel. Sends a CLOSE in answer if none was sent yet."""
        answer = [payload for kind, _, payload in self._queue if kind == CLOSE]
        if self.state is not State.CLOSED:
            answer = [build_frame(CLOSE, 0, self.number)]
        self.lost()
        for frame in answer:
            self._outbox.control(bytes(frame))

    def lost(self) -> None:
        """Notes that nothing more can arrive or be sent in this channel. Drops the frames that wait to be sent."""
        self._drop()
        self.state = State.CLOSED
        for reader in self.readers.values():
            reader.cut()

    def stop(self, sub: int) -> bool:
        """Notes that the peer wants no more bytes of `sub`. Drops the bytes that wait to be sent, and ends the sub.

        Returns False, and does nothing, if the end of the sub was sent already, or if the peer has asked for this
        before.
        """
        writer = self.writers[sub]
        if writer.ended_on_wire or writer.stopped:
            return False
        writer.stopped = True
        self._drop(sub)
        self.end(sub)
        return True

    def _start(self) -> None:
        for reader in self.readers.values():
            reader.start()

    def _shut(self) -> None:
        self.state = State.CLOSED
        for reader in self.readers.values():
            reader.discard()

    def _drop(self, stopped: Optional[int] = None) -> None:
        """Drops frames that wait to be sent.

        Args:
            stopped: the number of one direction of bytes, such as stdout. Only its data are dropped. None to drop all.
        """
        kept = [] if stopped is None else [item for item in self._queue if item[:2] != (DATA, stopped)]
        dropped = sum(len(payload) for kind, _, payload in self._queue if kind == DATA)
        dropped -= sum(len(payload) for kind, _, payload in kept if kind == DATA)
        self._queue = deque(kept)
        self._queued -= dropped
        self._outbox.data -= dropped

    # ------------------------------------------------------------------ called by the outbox

    @property
    def waiting(self) -> bool:
        """True if frames of this channel wait to be sent."""
        return bool(self._queue)

    def emit(self, pieces: List[Buffer], limit: int, data: int, total: int) -> int:
        """Moves waiting frames of this channel to the end of `pieces`. Returns the number of bytes moved.

        Args:
            limit: the most bytes to move.
            data: how much room DATA frames have: each must end within the first `data` bytes that are moved. If this is
                0 or less, no DATA frame is moved.
            total: the same for frames of all other types.
        """
        queue, number, used = self._queue, self.number, 0
        while queue:
            kind, sub, payload = queue[0]
            if kind == DATA:
                taken, size = self._emit_data(pieces, sub, payload, min(limit, data) - used)
                used += size
                if taken < len(payload):
                    queue[0] = (DATA, sub, memoryview(payload)[taken:])
                    break
            else:
                size = 48 if kind == EOF else len(payload)
                if used + size > min(limit, total):
                    break
                pieces.append(build_frame(EOF, sub, number, self.writers[sub].end()) if kind == EOF else payload)
                used += size
            queue.popleft()
        return used

    def _emit_data(self, pieces: List[Buffer], sub: int, payload: Buffer, limit: int) -> Tuple[int, int]:
        """Adds DATA frames with bytes of `payload` to `pieces`, at most `limit` bytes.

        Returns:
            (bytes of `payload` that were added, bytes that were added in all, with the headers)
        """
        view, taken, used = memoryview(payload), 0, 0
        while taken < len(view):
            part = min(len(view) - taken, limit - used - HEADER.size, MAX_PAYLOAD)
            if part < len(view) - taken and part < LEAST_PART:
                break
            pieces += (HEADER.pack(DATA, sub, part, self.number), view[taken : taken + part])
            taken += part
            used += part + HEADER.size
        self.writers[sub].sent += taken
        self._queued -= taken
        self._outbox.data -= taken
        return taken, used

    def _put(self, kind: int, sub: int, payload: Buffer) -> None:
        if not self._queue:
            self._outbox.wake(self)
        self._queue.append((kind, sub, payload))
