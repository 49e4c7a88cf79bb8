"""The transport: one peer's link. Messages in, messages out, over one stream in one framing.

Two faces of one engine; relayed.py adds a third:
- the *ready* face never blocks (`receive_nowait`, `send_nowait`, `flush`): for a selector or an event loop;
- the *blocking* face (`receive`, `send`, `close`) waits on the same calls: for threads and greenlets.

At most one frame of data waits for the kernel here, and one control frame of each kind: there is no queue to grow.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, Optional, Sequence, Type

from medusa.protocol.errors import LocalProtocolError, RemoteProtocolError
from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from medusa.transports.interfaces import Codec, Stream

READ_SIZE = 128 * 1024
"""Bytes asked of the stream at once: a few pty reads' worth, or two 64 KiB frames."""

READS_AT_ONCE = 16
"""Reads in one call that makes nothing of them: a flood may not keep an event loop or a deadline waiting."""

CLOSE_TIMEOUT = 2.0
"""Seconds that a polite end waits for the peer's Close."""


class ClosedTransport(Exception):
    """The link ended politely, or this end closed it. `close` is the peer's Close, None where it sent none."""

    def __init__(self, close: Optional[Close]) -> None:
        super().__init__("the link is closed")
        self.close = close


class BrokenTransport(Exception):
    """The link is gone without a Close: the stream ended or failed."""


class _OneAtATime:
    """FairQueue two readers of one link into an error instead of a torn message."""

    busy = False

    def __enter__(self) -> None:
        if self.busy:
            raise LocalProtocolError("another reader is already waiting on this transport")
        self.busy = True

    def __exit__(self, *_: object) -> None:
        self.busy = False


class _NoLock:
    """For a link that an event loop owns: each call is over before the next begins."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def acquire(self, timeout: float = -1) -> bool:
        return True

    def release(self) -> None:
        pass


_NO_LOCK = _NoLock()


class Transport:
    """A link over `stream`, framed by `codec`.

    Attributes:
        received, sent: bytes so far; a change in `received` is a sign of life.
        wants_write: something waits for the kernel: call `flush` when the stream is writable.

    Args:
        leftover: bytes that came in before the transport was made, such as those behind a handshake.
        threads: whether several may use it at once.
    """

    def __init__(self, stream: Stream, codec: Codec, leftover: bytes = b"", threads: bool = True) -> None:
        self._stream = stream
        self._codec = codec
        self._leftover = leftover
        self._out = bytearray()  # framed, not yet taken by the kernel
        self._held: Dict[Type[Any], bytes] = {}  # control frames that may not cut into a frame: the latest of each kind
        self._mid_frame = False  # what was written last ends inside a frame
        self._close_sent = False
        self._peer_close: Optional[Close] = None
        self._ended: Optional[Exception] = None  # nothing more can be read ...
        self._deaf: Optional[BrokenTransport] = None  # ... or written, though what the peer sent before may be read
        self._reading = _OneAtATime()
        # Held by a blocking sender while it waits; and where a pong meets a data frame, never while waiting.
        self._sending: Any = threading.Lock() if threads else _NO_LOCK
        self._writing: Any = threading.RLock() if threads else _NO_LOCK
        self.received = len(leftover)
        self.sent = 0

    def fileno(self) -> int:
        """The file descriptor to watch; -1 once closed."""
        return self._stream.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether `flush` has something to do."""
        return bool(self._out or (self._held and not self._mid_frame))

    @property
    def pending(self) -> bool:
        """Whether bytes have arrived that no poll of `fileno` would report: read on."""
        return bool(self._leftover) or self._stream.pending

    @property
    def deaf(self) -> bool:
        """Whether writing failed: what the peer sent before that may still be read."""
        return self._deaf is not None

    @property
    def mid_frame(self) -> bool:
        """Whether what was written ends inside a frame: a link that is left so is to be aborted, not closed."""
        return self._mid_frame

    # ------------------------------------------------------------------ ready face

    def receive_nowait(self) -> Optional[Message]:
        """The next whole message, or None: none is there. Call until None before waiting.

        Pings are answered and a Close is answered before they are handed over.

        Raises:
            ClosedTransport: after the peer's Close was handed over, or after `close` or `abort`.
            BrokenTransport: the stream ended or failed without a Close.
            RemoteProtocolError: once; the peer was sent a Close with the fitting code.
        """
        with self._reading:
            return self._next_message()

    def send_nowait(self, message: Message) -> bool:
        """Accept `message` and write what the kernel takes of it; True when that is all.

        Raises:
            LocalProtocolError: data while `wants_write`: wait until writable and `flush` first.
            ClosedTransport: a Close was sent before.
            BrokenTransport: the stream failed.
        """
        with self._writing:
            self._raise_if_unwritable()
            if not isinstance(message, (Text, Binary)):
                return self._send_control(message)
            if self.wants_write or self._mid_frame:
                raise LocalProtocolError("data before the last message was flushed")
            self._out += self._codec.frame(message)
            return self.flush()

    def announce(self, text: str) -> bool:
        """As `send_nowait`, of a short text that is always accepted; a later one replaces one that still waits."""
        with self._writing:
            self._raise_if_unwritable()
            return self._send_control(Text(text))

    def flush(self) -> bool:
        """Write what waits; True when nothing does any more.

        Raises:
            BrokenTransport: the stream failed.
        """
        with self._writing:
            while True:
                while self._out:
                    with memoryview(self._out) as view:
                        taken = self._write(view)
                    if not taken:
                        return False
                    del self._out[:taken]
                if self._mid_frame or not self._held:
                    return True
                self._out += self._take_held()

    # ------------------------------------------------------------------ blocking face

    def receive(self, timeout: Optional[float] = None) -> Message:
        """The next message, waiting for it.

        Raises:
            TimeoutError: none came in `timeout` seconds; else as `receive_nowait`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._reading:
            while True:
                message = self._next_message()
                if message is not None:
                    return message
                self._wait(True, deadline)

    def send(self, message: Message, timeout: Optional[float] = None) -> None:
        """Hand `message` to the kernel, waiting while the peer does not read. Senders take turns.

        Raises:
            TimeoutError: not all was taken in `timeout` seconds; only `abort` is of use then. Else as `send_nowait`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._sending.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError("another sender's message was not read in time")
        try:
            while not self._accepted(message):
                self._wait(False, deadline)
            while not self.flush():
                self._wait(False, deadline)
            if self._deaf is not None or self._ended is not None:
                self._raise_if_unwritable()  # what was left of it was thrown away
        finally:
            self._sending.release()

    def close(self, code: int = 1000, reason: str = "", timeout: float = CLOSE_TIMEOUT) -> None:
        """End politely: send a Close, wait up to `timeout` seconds for the peer's, then let go. Never raises."""
        deadline = time.monotonic() + timeout
        try:
            if not self._close_sent:
                self.send_nowait(Close(code, reason))
            while True:
                if self.receive_nowait() is None or time.monotonic() >= deadline:
                    self._wait(True, deadline)  # or the end of waiting, also for who goes on sending
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
        with self._writing:
            if not isinstance(self._ended, ClosedTransport):
                self._ended = ClosedTransport(self._peer_close)
            self._out.clear()
            self._held.clear()
            self._stream.shutdown()
            self._stream.close()

    def finish(self) -> None:
        """Nothing more will be written: send a FIN. What still comes can only be discarded: TLS has ended as well."""
        self._close_sent = True
        self._stream.shutdown()

    def discard(self) -> bool:
        """Read and forget what has arrived, or a part of it; True when the peer has ended the stream."""
        try:
            for _ in range(READS_AT_ONCE):
                if self._recv() is None:
                    break
        except (ClosedTransport, BrokenTransport):
            return True
        return False

    # ------------------------------------------------------------------ engine

    def _next_message(self) -> Optional[Message]:
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

    def _accepted(self, message: Message) -> bool:
        with self._writing:  # no pong may come between the two
            if not self.flush():
                return False
            self.send_nowait(message)
            return True

    def _recv(self, size: int = READ_SIZE) -> Optional[bytes]:
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
        """The stream is gone: after the peer's Close that is as it should be."""
        if self._ended is None:
            if self._peer_close is not None:
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

    def _raise_if_unwritable(self) -> None:
        self._raise_if_ended()
        if self._deaf is not None:
            raise self._deaf.with_traceback(None)
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
            self._deaf = BrokenTransport(error.strerror or str(error))
            raise self._deaf from None
        self.sent += taken
        return taken

    def _answer(self, message: Message) -> None:
        if isinstance(message, Ping):
            reply: Message = Pong(message.payload)
        elif isinstance(message, Close):
            self._peer_close = message
            reply = Close(1000, "")
        else:
            return
        self._try_control(reply)

    def _answer_pings(self, pings: Sequence[Ping]) -> None:
        """Those of one read in one write, so that a flood costs no more than it cost the peer."""
        with self._writing:
            if not (self._out or self._mid_frame or self._close_sent or self._deaf):
                self._out += b"".join(self._codec.frame(Pong(ping.payload)) for ping in pings[:-1])
            # Behind what waits already the last alone: section 5.5.3 allows it, and what waits stays bounded.
            self._answer(pings[-1])

    def _try_control(self, message: Message) -> None:
        with self._writing:
            if self._close_sent or self._deaf is not None:
                return
            try:
                self._send_control(message)
            except BrokenTransport:
                pass  # the reader will see it; what has arrived is still to be handed over

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

    def _wait(self, read: bool, deadline: Optional[float]) -> None:
        timeout = None if deadline is None else deadline - time.monotonic()
        if timeout is not None and timeout <= 0:
            raise TimeoutError("the peer did not answer in time" if read else "the peer did not read in time")
        self._stream.wait(read, not read or self.wants_write, timeout)
        try:
            self.flush()
        except BrokenTransport:
            if not read:
                raise  # a reader goes on to what the peer sent before that
