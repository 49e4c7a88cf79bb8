"""The frames of one channel that wait to be sent: cuts data into frames that fit into a message."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Mapping, Optional, Tuple

from medusa.protocol.channels.frames import DATA, EOF, HEADER, build_frame
from medusa.protocol.channels.limits import LEAST_PART, MAX_PAYLOAD
from medusa.protocol.channels.sending.outbox import Outbox
from medusa.protocol.channels.subs import Writer
from medusa.protocol.resume.byte_queue import SMALL, Buffer


class FrameQueue:
    """The frames of one channel that wait to be sent, in the order in which they were added.

    Args:
        number: the channel's id.
        writers: the Writer of each sub (direction of bytes) that this end sends, by the number of the sub.

    Attributes:
        data: the number of bytes of data that wait.
    """

    def __init__(self, number: int, writers: Mapping[int, Writer], outbox: Outbox) -> None:
        self.data = 0
        self._number, self._writers, self._outbox = number, writers, outbox
        self._frames: Deque[Tuple[int, int, Buffer]] = deque()  # type, sub, payload

    def write(self, sub: int, data: Buffer) -> None:
        """Adds `data`, which are not empty and must not change later, to the sub with the number `sub`."""
        size, frames = len(data), self._frames
        self.data += size
        self._outbox.data += size
        if frames and frames[-1][:2] == (DATA, sub) and len(frames[-1][2]) + size <= SMALL:
            frames[-1] = (DATA, sub, b"".join((frames[-1][2], data)))
            return
        if not frames:
            self._outbox.wake(self)
        frames.append((DATA, sub, data))

    def add(self, kind: int, sub: int = 0, frame: Buffer = b"") -> None:
        """Adds a whole frame that is not DATA. `kind` is its type.

        The frame EOF of a sub is built when it is sent, because it tells how much was sent before.
        """
        if not self._frames:
            self._outbox.wake(self)
        self._frames.append((kind, sub, frame))

    def waiting_frames(self, kind: int) -> List[Buffer]:
        """Returns the frames of type `kind` that wait. `kind` is neither DATA nor EOF."""
        return [frame for found, _, frame in self._frames if found == kind]

    def drop(self, stopped: Optional[int] = None) -> None:
        """Drops frames that wait.

        Args:
            stopped: the number of one direction of bytes, such as stdout. Only its data are dropped. None to drop all.
        """
        kept = [] if stopped is None else [item for item in self._frames if item[:2] != (DATA, stopped)]
        dropped = sum(len(payload) for kind, _, payload in self._frames if kind == DATA)
        dropped -= sum(len(payload) for kind, _, payload in kept if kind == DATA)
        self._frames = deque(kept)
        self.data -= dropped
        self._outbox.data -= dropped

    # ------------------------------------------------------------------ called by the outbox

    @property
    def waiting(self) -> bool:
        """True if frames wait."""
        return bool(self._frames)

    def emit(self, pieces: List[Buffer], limit: int, data: int, total: int) -> int:
        """Moves waiting frames to the end of `pieces`. Returns the number of bytes moved.

        Args:
            limit: the most bytes to move.
            data: how much room DATA frames have: each must end within the first `data` bytes that are moved. If this is
                0 or less, no DATA frame is moved.
            total: the same for frames of all other types.
        """
        frames, used = self._frames, 0
        while frames:
            kind, sub, payload = frames[0]
            if kind == DATA:
                taken, size = self._emit_data(pieces, sub, payload, min(limit, data) - used)
                used += size
                if taken < len(payload):
                    frames[0] = (DATA, sub, memoryview(payload)[taken:])
                    break
            else:
                size = 48 if kind == EOF else len(payload)
                if used + size > min(limit, total):
                    break
                if kind == EOF:
                    payload = build_frame(EOF, sub, self._number, self._writers[sub].end())
                pieces.append(payload)
                used += size
            frames.popleft()
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
            pieces += (HEADER.pack(DATA, sub, part, self._number), view[taken : taken + part])
            taken += part
            used += part + HEADER.size
        self._writers[sub].sent += taken
        self.data -= taken
        self._outbox.data -= taken
        return taken, used
