"""One channel: accepts it, writes to it, sends requests, ends it. Also the events that report what has arrived."""

from __future__ import annotations

import enum
from typing import Any, Mapping, NamedTuple

from medusa.protocol.channels.frames import (
    CLOSE,
    DATA,
    EOF,
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
from medusa.protocol.channels.kinds import CRC32, KINDS, has_short_check, is_terminal, subs
from medusa.protocol.channels.limits import MAX_QUEUED, MAX_QUEUED_ALONE, MIN_QUEUED, QUEUED_HIGH
from medusa.protocol.channels.sending.outbox import Outbox
from medusa.protocol.channels.sending.queue import FrameQueue
from medusa.protocol.channels.subs import Crc32, Reader, Writer
from medusa.protocol.channels.windows import Windows
from medusa.protocol.errors import LocalProtocolError
from medusa.protocol.resume.byte_queue import Buffer

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
        self._check = parameters["check"] if has_short_check(kind, parameters) else ""
        self._outbox = outbox
        self._queue = FrameQueue(number, self.writers, outbox)
        if opener:
            self._start()  # so that the peer can send as soon as it has accepted the channel

    # ------------------------------------------------------------------ called by the user of the channel

    def accept(self, **parameters: object) -> None:
        """Accepts a channel that the peer has opened. Keyword arguments are the fields of the answer.

        Does nothing if the channel was closed, or was answered before.
        """
        if self.state is State.OFFERED:
            if self.agrees(self._check):
                parameters["check"] = CRC32
            self._outbox.control(build_json(OPENED, self.number, parameters))
            self.state = State.OPEN
            self._start()
            for sub, writer in self.writers.items():
                if writer.ended:
                    self._queue.add(EOF, sub)

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
        mine, all_data = self._queue.data, self._outbox.data
        most = MAX_QUEUED_ALONE if mine == all_data else MAX_QUEUED if all_data < QUEUED_HIGH else MIN_QUEUED
        return max(0, min(writer.limit - writer.written, most - mine))

    def free(self, sub: int) -> int:
        """Returns `room(sub)`, but 0 while earlier frames of this channel wait to be sent.

        Without this wait, bytes that come in small pieces would be sent in small pieces.
        """
        return 0 if self._queue.waiting else self.room(sub)

    def write(self, sub: int, data: Buffer) -> None:
        """Queues `data` to be sent.

        `sub` is the number of the sub (direction of bytes). The bytes of `data` must not change later.

        Raises:
            LocalProtocolError: `data` has more than `room(sub)` bytes.
        """
        size = len(data)
        if size > self.room(sub):
            raise LocalProtocolError("%d bytes do not fit into sub %d of channel %d" % (size, sub, self.number))
        if size:
            self.writers[sub].wrote(data)
            self._queue.write(sub, data)

    def end(self, sub: int) -> None:
        """Ends a sub (one direction of bytes). Its end is sent after all bytes that were written to it.

        Does nothing if the sub has ended already.
        """
        writer = self.writers[sub]
        if not writer.ended and self.state is not State.CLOSED:
            writer.ended = True
            if self.state is not State.OFFERED:  # otherwise `accept` does it, because OPENED comes first
                self._queue.add(EOF, sub)

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
            self._queue.add(RESULT, 0, build_json(RESULT, self.number, fields))

    def close(self, reason: Reason = NO_REASON, *, at_once: bool = False) -> None:
        """Closes the channel. A CLOSE with `reason` is sent after all bytes that were written.

        With `at_once`, drops the written bytes that were not sent yet. Bytes that arrive from now on are dropped.
        Refuses the channel if it was not accepted yet.
        """
        if self.state is State.OFFERED:
            self.refuse(reason.code or "closed", reason.words)
        elif self.state is not State.CLOSED:
            if at_once:
                self._queue.drop()
            self._queue.add(CLOSE, 0, build_reason(CLOSE, self.number, reason))
            self._shut()

    # ------------------------------------------------------------------ called by the multiplexer

    def agrees(self, check: Any) -> bool:
        """Checks all bytes by CRC-32 instead of SHA-256 if this end wants it, and the peer too: `check` says so.

        Returns True if both want it. Call it before the channel is open, so that no bytes have been checked yet.
        """
        if check != CRC32 or self._check != CRC32:
            return False
        for sums in (self.readers, self.writers):
            for end in sums.values():
                end.check = Crc32()
        return True

    @property
    def waiting(self) -> bool:
        """True if frames of this channel wait to be sent."""
        return self._queue.waiting

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
        answer = self._queue.waiting_frames(CLOSE)
        if self.state is not State.CLOSED:
            answer = [build_frame(CLOSE, 0, self.number)]
        self.lost()
        for frame in answer:
            self._outbox.control(bytes(frame))

    def lost(self) -> None:
        """Notes that nothing more can arrive or be sent in this channel. Drops the frames that wait to be sent."""
        self._queue.drop()
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
        self._queue.drop(sub)
        self.end(sub)
        return True

    def _start(self) -> None:
        for reader in self.readers.values():
            reader.start()

    def _shut(self) -> None:
        self.state = State.CLOSED
        for reader in self.readers.values():
            reader.discard()
