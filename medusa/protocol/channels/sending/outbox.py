"""Holds the frames that wait to be sent, and decides in which order they are sent: the channels take turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Deque, List, Protocol

from medusa.protocol.channels.frames import GOAWAY, HEADER, LIMIT, WINDOW, Reason, build_frame, build_reason
from medusa.protocol.channels.limits import MAX_QUEUED_CONTROL, TURN
from medusa.protocol.channels.windows import Windows
from medusa.protocol.errors import StreamError
from medusa.protocol.resume.byte_queue import Buffer

WINDOW_FRAME = HEADER.size + LIMIT.size


class Queue(Protocol):
    """The waiting frames of one channel, which are sent in the order in which they were queued.

    The class FrameQueue implements this protocol.
    """

    def emit(self, pieces: List[Buffer], limit: int, data: int, total: int) -> int:
        """Moves waiting frames of this channel to the end of `pieces`. Returns the number of bytes moved.

        Args:
            limit: the most bytes to move.
            data: how much room DATA frames have: each must end within the first `data` bytes that are moved. If this is
                0 or less, no DATA frame is moved.
            total: the same for frames of all other types.
        """

    @property
    def waiting(self) -> bool:
        """True if frames of this channel wait to be sent."""


class Outbox:
    """Holds all frames of one end of a stream that wait to be sent.

    Frames that may overtake data are sent first. Then the channels take turns. A GOAWAY is sent last.

    Attributes:
        data: the number of bytes of data that wait.
        over: True if nothing more is sent, because a GOAWAY was sent or has arrived.
    """

    def __init__(self, windows: Windows) -> None:
        self.data = 0
        self._windows = windows
        self._control: Deque[bytes] = deque()
        self._control_size = 0
        self._unacknowledged = 0  # the most bytes of frames other than DATA that may wait for an acknowledgement
        self._turns: OrderedDict[Queue, None] = OrderedDict()
        self._goodbye: List[Buffer] = []
        self.over = False

    def control(self, frame: bytes) -> None:
        """Adds a frame that may overtake data.

        Raises:
            StreamError: too many such frames wait to be sent or acknowledged (`overflow`). A GOAWAY with this error has
                taken the place of all waiting frames.
        """
        if self.finishing:
            return
        self._control.append(frame)
        self._control_size += len(frame)
        if self._control_size + self._unacknowledged > MAX_QUEUED_CONTROL:
            error = StreamError("overflow", "the peer does not take what it asks for")
            self.finish(Reason(error.code, str(error)), at_once=True)
            raise error

    @property
    def finishing(self) -> bool:
        """True if a GOAWAY waits or was sent."""
        return self.over or bool(self._goodbye)

    @property
    def waiting(self) -> bool:
        """True if `take` has something to do: frames wait, or acknowledgements have come since its last call."""
        return bool(self._control or self._turns or self._windows.due or self._goodbye or self._unacknowledged)

    def wake(self, queue: Queue) -> None:
        """Gives a channel its turns from now on. Call it after the first frame was put into an empty queue."""
        self._turns[queue] = None

    def finish(self, reason: Reason, *, at_once: bool) -> None:
        """Adds a GOAWAY with `reason`, the last frame of the stream. If `at_once`, drops all other frames that wait."""
        if not self.finishing or (at_once and not self.over):
            self._goodbye = [build_reason(GOAWAY, 0, reason)]
        if at_once:
            self._drop()

    def end(self) -> None:
        """Drops all frames that wait. From now on nothing is sent, not even a GOAWAY."""
        self._goodbye.clear()
        self._drop()
        self.over = True

    def take(self, limit: int, data: int, total: int) -> List[Buffer]:
        """Returns the next frames to send, in pieces.

        Args:
            limit: the most bytes to return.
            data: how much room DATA frames have: each must end within the first `data` bytes of the result. If this is
                0 or less, the result has no DATA frame.
            total: the same for frames of all other types.
        """
        pieces: List[Buffer] = []
        if self.over:
            return pieces
        self._unacknowledged = max(0, -data)
        if not (self._control or self._turns or self._windows.due or self._goodbye):
            return pieces
        left = limit - self._take_control(pieces, min(limit, total))
        if not self._control and not self._windows.due:
            left -= self._take_turns(pieces, left, data - limit + left, total - limit + left)
        idle = not (self._control or self._windows.due or self._turns)
        if self._goodbye and idle and len(self._goodbye[0]) <= left:
            pieces.append(self._goodbye[0])
            self.end()
        return pieces

    def _take_control(self, pieces: List[Buffer], limit: int) -> int:
        used = 0
        control, due = self._control, self._windows.due
        while control and used + len(control[0]) <= limit:
            frame = control.popleft()
            used += len(frame)
            pieces.append(frame)
        self._control_size -= used
        while due and not control and used + WINDOW_FRAME <= limit:
            key, end = due.popitem()
            pieces.append(build_frame(WINDOW, *key, LIMIT.pack(end)))
            used += WINDOW_FRAME
        return used

    def _take_turns(self, pieces: List[Buffer], limit: int, data: int, total: int) -> int:
        used = passed = 0
        turns = self._turns
        while turns and passed < len(turns) and used < limit:
            queue, _ = turns.popitem(last=False)
            left = limit - used
            size = queue.emit(pieces, min(left, TURN) if turns else left, data - used, total - used)
            used += size
            passed = 0 if size else passed + 1
            if queue.waiting:
                turns[queue] = None
        return used

    def _drop(self) -> None:
        self._control.clear()
        self._control_size = 0
        self._windows.due.clear()
        self._turns.clear()
