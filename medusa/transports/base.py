"""One peer's link: messages in, messages out, over one stream in one framing. relayed.py adds what a reflector needs.

No call waits but `close`: an event loop, or a program that polls, owns the link and is the only thread to use it.

At most one data frame waits for the kernel here, and one control frame of each kind: there is no queue to grow.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Optional, Sequence, Type

from medusa.protocol.errors import LocalProtocolError, RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from medusa.transports.interfaces import Codec, Stream

READ_SIZE = 128 * 1024
"""Bytes asked of the stream at once: a few reads of a pty, or two frames of 64 KiB."""

READS_AT_ONCE = 16
"""Reads in one call that yields no message: a flood must not keep an event loop or a deadline waiting."""

CLOSE_TIMEOUT = 2.0
"""Seconds that `close` waits for the peer's Close."""


class ClosedTransport(Exception):
    """The link ended politely, or this end closed it. `close` is the peer's Close, None if it sent none."""

    def __init__(self, close: Optional[Close]) -> None:
        super().__init__("the link is closed")
        self.close = close


class BrokenTransport(Exception):
    """The link is gone without a Close: the stream ended or failed."""


class Transport:
    """A link over `stream`, framed by `codec`.

    Attributes:
        received, sent: bytes so far; a change in `received` is a sign of life.

    Args:
        leftover: bytes that were read before the transport was made, such as those that came with a handshake.
        end_is_close: for a framing that has no Close: what the end of the peer's stream stands for. A Close that is
            sent is then a FIN after all that waits, and neither end of the stream ends the other direction.
    """

    def __init__(
        self, stream: Stream, codec: Codec, leftover: bytes = b"", end_is_close: Optional[Close] = None
    ) -> None:
        self._stream = stream
        self._codec = codec
        self._leftover = leftover
        self._end_is_close = end_is_close
        self._out = bytearray()  # framed, not yet taken by the kernel
        self._held: Dict[Type[Any], bytes] = {}  # control frames that may not cut into a frame: the latest of each kind
        self._mid_frame = False  # what was written last ends inside a frame
        self._close_sent = False
        self._fin_sent = False
        self._peer_close: Optional[Close] = None
        self._ended: Optional[Exception] = None  # nothing more can be read ...
        self._write_error: Optional[BrokenTransport] = None  # ... or written; what the peer sent before can be read
        self.received = len(leftover)
        self.sent = 0

    def fileno(self) -> int:
        """The file descriptor to watch; -1 once closed."""
        return self._stream.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether something waits for the kernel: call `flush` when the stream is writable."""
        return bool(self._out or (self._held and not self._mid_frame))

    @property
    def pending(self) -> bool:
        """Whether bytes have arrived that no poll of `fileno` would report: read on."""
        return bool(self._leftover) or self._stream.pending

    @property
    def write_failed(self) -> bool:
        """Whether writing failed. What the peer sent before that can still be read."""
        return self._write_error is not None

    @property
    def mid_frame(self) -> bool:
        """Whether what was written ends inside a frame: such a link can be aborted, but not closed politely."""
        return self._mid_frame

    # ------------------------------------------------------------------ messages

    def receive_nowait(self) -> Optional[Message]:
        """The next whole message, or None if none is there. Call it until None before you wait.

        A Ping or a Close is answered here before it is returned.

        Raises:
            ClosedTransport: after the peer's Close was returned, or after `close` or `abort`.
            BrokenTransport: the stream ended or failed without a Close.
            RemoteProtocolError: once; the peer was sent a Close with the fitting code.
        """
        reads = 0
        while True:
            self._raise_if_ended()
            try:
                message = self._codec.next_message()
            except RemoteProtocolError as error:
                self._try_control(Close(error.close_code, str(error)))
                raise
            if message is not None:
                self._answer(message)
                return message
            if reads >= READS_AT_ONCE and not self._stream.pending:
                return None
            reads += 1
            data = self._recv()
            if data is None:
                return None
            self._codec.receive_data(data)

    def send_nowait(self, message: Message) -> bool:
        """Accept `message` and write what the kernel takes of it; True if that is all.

        Raises:
            LocalProtocolError: data while `wants_write`: wait until the stream is writable and `flush` first.
            ClosedTransport: a Close was sent before.
            BrokenTransport: the stream failed.
        """
        self._raise_if_unwritable()
        if not isinstance(message, (Text, Binary)):
            return self._send_control(message)
        if self.wants_write or self._mid_frame:
            raise LocalProtocolError("data before the last message was flushed")
        self._out += self._codec.frame(message)
        return self.flush()

    def announce(self, text: str) -> bool:
        """Send a short text that is accepted even while `wants_write`; a later one replaces one that still waits.

        Returns and raises what `send_nowait` does.
        """
        self._raise_if_unwritable()
        return self._send_control(Text(text))

    def flush(self) -> bool:
        """Write what waits; True if nothing waits any more.

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

    # ------------------------------------------------------------------ the end

    def close(self, code: int = 1000, reason: str = "", timeout: float = CLOSE_TIMEOUT) -> None:
        """End politely: send a Close, wait up to `timeout` seconds for the peer's, then `abort`. Never raises."""
        deadline = time.monotonic() + timeout
        try:
            if not self._close_sent:
                self.send_nowait(Close(code, reason))
            while True:
                if self.receive_nowait() is None or time.monotonic() >= deadline:
                    self._wait(True, deadline)  # ends the waiting even if the peer goes on sending
        except (ClosedTransport, BrokenTransport, RemoteProtocolError, TimeoutError, LocalProtocolError):
            pass
        try:
            while not self.flush():  # the answer to the peer's Close may be among it
                self._wait(False, deadline)
        except (BrokenTransport, TimeoutError):
            pass
        self.abort()

    def abort(self) -> None:
        """Let go at once, with a FIN and without a Close. Idempotent."""
        if not isinstance(self._ended, ClosedTransport):
            self._ended = ClosedTransport(self._peer_close)
        self._out.clear()
        self._held.clear()
        self._stream.shutdown()
        self._stream.close()

    def finish(self) -> None:
        """Write nothing more: send a FIN. What still comes can only be discarded, as TLS ends with this too."""
        self._close_sent = self._fin_sent = True
        self._stream.shutdown()

    def discard(self) -> bool:
        """Read and drop what has arrived, or a part of it; True if the peer has ended the stream."""
        try:
            for _ in range(READS_AT_ONCE):
                if self._recv() is None:
                    break
        except (ClosedTransport, BrokenTransport):
            return True
        return False

    def _wait(self, read: bool, deadline: float) -> None:
        """Until the stream is readable if `read`, else writable. Raises TimeoutError once `deadline` has passed."""
        timeout = deadline - time.monotonic()
        if timeout <= 0:
            raise TimeoutError
        self._stream.wait(read, not read or self.wants_write, timeout)
        try:
            self.flush()
        except BrokenTransport:
            if not read:
                raise  # a reader goes on to what the peer sent before that

    # ------------------------------------------------------------------ reading

    def _recv(self, size: int = READ_SIZE) -> Optional[bytes]:
        """The leftover, or what the stream has; None if nothing is there."""
        if self._leftover:
            data, self._leftover = self._leftover, b""
            return data
        try:
            data = self._stream.recv(size)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._broken(error) from None
        if not data:
            raise self._broken(None)
        self.received += len(data)
        return data

    def _broken(self, error: Optional[OSError]) -> Exception:
        """What to raise now that the stream has failed with `error`, or ended."""
        if error is None and self._ended is None and self._end_is_close is not None:
            self._peer_close = self._end_is_close
        if self._ended is None:
            if self._peer_close is not None:  # a stream ends after a Close
                self._ended = ClosedTransport(self._peer_close)
            else:
                text = error.strerror or str(error) if error else "the connection ended without a Close"
                self._ended = BrokenTransport(text)
        return self._ended

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise self._ended.with_traceback(None)  # it would grow with every raise
        if self._peer_close is not None:
            raise ClosedTransport(self._peer_close)

    # ------------------------------------------------------------------ writing

    def _raise_if_unwritable(self) -> None:
        if self._end_is_close is None or self._peer_close is None or self.fileno() < 0:
            self._raise_if_ended()
        if self._write_error is not None:
            raise self._write_error.with_traceback(None)
        if self._close_sent:
            raise ClosedTransport(self._peer_close)

    def _write(self, data: Any) -> int:
        """How many bytes the stream takes now."""
        try:
            taken = self._stream.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._out = bytearray()  # `data` may be a view of the old one
            self._held.clear()
            self._write_error = BrokenTransport(error.strerror or str(error))
            raise self._write_error from None
        self.sent += taken
        return taken

    def _answer(self, message: Message) -> None:
        if isinstance(message, Ping):
            self._try_control(Pong(message.payload))
        elif isinstance(message, Close):
            self._peer_close = message
            self._try_control(Close(1000, ""))

    def _answer_pings(self, pings: Sequence[Ping]) -> None:
        """Answer the pings of one read in one write, so that a flood costs no more than it cost the peer."""
        if not (self._out or self._mid_frame or self._close_sent or self._write_error):
            self._out += b"".join(self._codec.frame(Pong(ping.payload)) for ping in pings[:-1])
        # While something waits, only the last is answered (RFC 6455 section 5.5.3): what waits stays bounded.
        self._answer(pings[-1])

    def _try_control(self, message: Message) -> None:
        if self._close_sent or self._write_error is not None:
            return
        try:
            self._send_control(message)
        except BrokenTransport:
            pass  # the next write raises it; what has arrived is still to be read

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
