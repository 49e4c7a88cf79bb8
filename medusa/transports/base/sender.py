"""The sending half of a transport: what waits until the kernel takes it.

There is no queue that could grow. At most one data frame, and one control frame of each kind, wait.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Type, Union

from medusa.protocol.errors import LocalProtocolError
from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text
from medusa.transports.base.errors import BrokenTransport, ClosedTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from medusa.transports.interfaces import Codec, Stream

Buffer = Union[bytes, memoryview]


class Sender:
    """Sends messages over `stream`, and converts them with `codec`. The class Transport adds the receiving half.

    Attributes:
        sent: the number of bytes sent so far.

    Args:
        end_is_close: see Transport.
    """

    def __init__(self, stream: Stream, codec: Codec, end_is_close: Optional[Close]) -> None:
        self._stream = stream
        self._codec = codec
        self._end_is_close = end_is_close
        self._out = bytearray()  # bytes of frames that the kernel has not taken yet
        self._held: Dict[Type[Any], bytes] = {}  # control frames that wait until a frame ends: the last of each kind
        self._mid_frame = False  # True if the bytes that were written last end inside a frame
        self._close_sent = False
        self._fin_sent = False
        self._peer_close: Optional[Close] = None
        self._ended: Optional[Exception] = None  # why nothing more can be read
        self._write_error: Optional[BrokenTransport] = None  # why nothing more can be written; reading may still work
        self.sent = 0

    def fileno(self) -> int:
        """Returns the file descriptor to poll; -1 after the transport was closed."""
        return self._stream.fileno()

    @property
    def wants_write(self) -> bool:
        """True if bytes wait until the kernel can take them: call `flush` when the stream is writable."""
        return bool(self._out or (self._held and not self._mid_frame))

    @property
    def write_failed(self) -> bool:
        """True if a write failed. Messages that the peer sent before the failure can still be received."""
        return self._write_error is not None

    @property
    def mid_frame(self) -> bool:
        """True if the written bytes end inside a frame. Such a link cannot send a Close; it can only be aborted."""
        return self._mid_frame

    def send_nowait(self, message: Message) -> bool:
        """Accepts `message`, and writes as much of it as the kernel takes now. Returns True if nothing is left.

        Raises:
            LocalProtocolError: `message` is a Text or Binary, and `wants_write` is True. Wait until the stream is
                writable, and call `flush` first.
            ClosedTransport: this end has already sent a Close.
            BrokenTransport: the stream failed.
        """
        self._raise_if_unwritable()
        if isinstance(message, Binary):
            return self.send_binary((message.data,))
        if not isinstance(message, Text):
            return self._send_control(message)
        self._raise_if_unflushed()
        self._out += self._codec.frame(message)
        return self.flush()

    def send_binary(self, pieces: Sequence[Buffer]) -> bool:
        """Sends a Binary message that consists of `pieces`. For the result and the errors see `send_nowait`.

        Bytes that the kernel takes at once are not copied here.
        """
        self._raise_if_unwritable()
        self._raise_if_unflushed()
        frame = self._codec.binary(pieces)
        taken = self._write(frame)
        if taken == sum(map(len, frame)):
            return True
        for piece in frame:
            if taken < len(piece):
                self._out += memoryview(piece)[taken:]
            taken = max(0, taken - len(piece))
        return self.flush()

    def announce(self, text: str) -> bool:
        """Sends a short text message, even while `wants_write` is True. Replaces an earlier such text that still waits.

        Returns True if nothing is left to write. Raises ClosedTransport and BrokenTransport, see `send_nowait`.
        """
        self._raise_if_unwritable()
        return self._send_control(Text(text))

    def flush(self) -> bool:
        """Writes as many waiting bytes as the kernel takes now. Returns True if no bytes are waiting any more.

        Raises:
            BrokenTransport: the stream failed.
        """
        while True:
            while self._out:
                with memoryview(self._out) as view:
                    taken = self._write(view)
                if not taken:
                    return False
                del self._out[:taken]
            if self._mid_frame or not self._held:
                break
            self._out += self._take_held()
        if self._close_sent and self._end_is_close is not None and not self._fin_sent:
            self._fin_sent = True
            self._stream.shutdown()
        return True

    # ------------------------------------------------------------------ for the receiving half

    def _try_control(self, message: Message) -> None:
        if self._close_sent or self._write_error is not None:
            return
        try:
            self._send_control(message)
        except BrokenTransport:
            pass  # the next write raises it again; messages that have arrived can still be received

    def _send_control(self, message: Message) -> bool:
        frame = self._codec.frame(message)
        self._close_sent = self._close_sent or isinstance(message, Close)
        if self._out or self._mid_frame:
            self._held[type(message)] = frame
        else:
            self._out += frame
        return self.flush()

    def _take_held(self) -> bytes:
        return b"".join(self._held.pop(kind, b"") for kind in (Pong, Ping, Text, Close))

    # ------------------------------------------------------------------ writing

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise self._ended.with_traceback(None)  # otherwise its traceback would grow each time it is raised
        if self._peer_close is not None:
            raise ClosedTransport(self._peer_close)

    def _raise_if_unwritable(self) -> None:
        if self._end_is_close is None or self._peer_close is None or self.fileno() < 0:
            self._raise_if_ended()
        if self._write_error is not None:
            raise self._write_error.with_traceback(None)
        if self._close_sent:
            raise ClosedTransport(self._peer_close)

    def _raise_if_unflushed(self) -> None:
        if self.wants_write or self._mid_frame:
            raise LocalProtocolError("data before the last message was flushed")

    def _write(self, data: Any) -> int:
        """Writes `data`, which is bytes or a list of them, to the stream. Returns how many bytes the stream took.

        Raises:
            BrokenTransport: the stream failed.
        """
        try:
            taken = self._stream.send_pieces(data) if isinstance(data, list) else self._stream.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._out = bytearray()  # a new one: `data` may be a view of the old one, which then cannot be cleared
            self._held.clear()
            self._write_error = BrokenTransport(error.strerror or str(error))
            raise self._write_error from None
        self.sent += taken
        return taken
