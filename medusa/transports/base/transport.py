"""A transport sends and receives whole messages over one stream in one framing: receiving, and the end of a link.

No method blocks except `close`. Only one thread may use a transport, usually an event loop or a loop that polls.
"""

from __future__ import annotations

import time
from typing import Mapping, Optional, Sequence

from medusa.protocol.errors import LocalProtocolError, RemoteProtocolError
from medusa.protocol.messages import Close, Message, Ping, Pong
from medusa.transports.base.errors import BrokenTransport, ClosedTransport
from medusa.transports.base.sender import Sender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from medusa.transports.interfaces import Codec, Stream

READ_SIZE = 256 * 1024 + 16
"""The size of one read from the stream, in bytes.

The longest message of a stream comes in several reads. Longer reads would take more memory from each busy link.
"""

FIRST_READ = 64 * 1024
"""The size of a read, in bytes, after one that has brought fewer bytes than that.

The memory for a larger read comes from the kernel, which takes longer than such a read itself.
"""

READS_AT_ONCE = 16
"""The maximum number of reads in one call, so that a peer that floods this end cannot block the caller for long."""

_NO_FIELDS: Mapping[str, str] = {}

CLOSE_TIMEOUT = 2.0
"""The default time that `close` waits for the peer's Close, in seconds."""


class Transport(Sender):
    """A link to one peer. It sends and receives messages over `stream`, and converts them with `codec`.

    Attributes:
        received, sent: the number of bytes received and sent so far. If `received` grows, the peer is alive.
        answer: the fields of the reflector's answer that begin with `medusa-`, by their names in lower case.

    Args:
        leftover: the bytes that were read from the stream before the transport was made, for example together with a
            handshake.
        end_is_close: None if the framing has a Close message. Otherwise the Close to report, in ClosedTransport, after
            the peer's stream has ended. Such a transport sends a FIN in place of a Close, after all waiting bytes. Each
            direction can end while the other stays open.
    """

    def __init__(
        self, stream: Stream, codec: Codec, leftover: bytes = b"", end_is_close: Optional[Close] = None
    ) -> None:
        super().__init__(stream, codec, end_is_close)
        self._leftover = leftover
        self._buffer: Optional[memoryview] = None  # for long reads, if the last read was long
        self._short = False  # the last read has probably emptied the stream
        self.answer = _NO_FIELDS
        self.received = len(leftover)

    def limit_messages(self, size: int) -> None:
        """Sets the limit of one message of the peer to `size` bytes. A longer one is answered with a Close 1009."""
        self._codec.limit_messages(size)

    def read_in_parts(self, above: int) -> None:
        """Makes `receive_nowait` return a binary message of more than `above` bytes in Parts, as they arrive."""
        self._codec.read_in_parts(above)

    @property
    def pending(self) -> bool:
        """True if bytes have arrived that a poll of `fileno` would not report: read them before you poll."""
        return bool(self._leftover) or self._stream.pending

    @property
    def emptied(self) -> bool:
        """True if all bytes that have come were returned as messages. A poll reports those that come later."""
        return self._short and self._codec.empty and not self.pending

    # ------------------------------------------------------------------ messages

    def receive_nowait(self) -> Optional[Message]:
        """Returns the next whole message, or None if none has come. Call this until it returns None, then poll.

        This method sends the answer to a Ping or a Close itself, and then returns the Ping or Close like any message.

        Raises:
            ClosedTransport: the peer's Close was already returned, or this end called `close` or `abort`.
            BrokenTransport: the stream ended or failed without a Close.
            RemoteProtocolError: the peer broke the rules. Raised only once. The transport has sent the peer a Close
                with the right code.
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

    # ------------------------------------------------------------------ the end

    def close(self, code: int = 1000, reason: str = "", timeout: float = CLOSE_TIMEOUT) -> bool:
        """Sends a Close, waits up to `timeout` seconds for the peer's Close, and then calls `abort`. Never raises.

        Returns True if the peer's Close came.
        """
        deadline = time.monotonic() + timeout
        try:
            if not self._close_sent:
                self.send_nowait(Close(code, reason))
            while True:
                if self.receive_nowait() is None or time.monotonic() >= deadline:
                    self._wait(True, deadline)  # raises TimeoutError after `deadline`, even if messages keep coming
        except (ClosedTransport, BrokenTransport, RemoteProtocolError, TimeoutError, LocalProtocolError):
            pass
        try:
            while not self.flush():  # the answer to the peer's Close may still have to be written
                self._wait(False, deadline)
        except (BrokenTransport, TimeoutError):
            pass
        self.abort()
        return self._peer_close is not None

    def abort(self) -> None:
        """Closes the connection at once: with a FIN, but without a Close. May be called more than once."""
        # New errors: those that were raised refer to frames, which refer to this object. Only the garbage collector
        # would free all of them.
        self._ended = ClosedTransport(self._peer_close)
        if self._write_error:
            self._write_error = BrokenTransport(str(self._write_error))
        self._out.clear()
        self._held.clear()
        self._stream.shutdown()
        self._stream.close()

    def finish(self) -> None:
        """Ends the sending direction: sends a FIN. After this method, call only `discard` and `abort`.

        This method ends TLS too, if the stream has TLS. After that, bytes from the peer cannot be decrypted, so no
        message can be received any more.
        """
        self._close_sent = self._fin_sent = True
        self._stream.shutdown()

    def discard(self) -> bool:
        """Reads and drops bytes that have arrived, up to a limit. Returns True if the stream has ended or failed."""
        try:
            for _ in range(READS_AT_ONCE):
                if self._recv() is None:
                    break
        except (ClosedTransport, BrokenTransport):
            return True
        return False

    def _wait(self, read: bool, deadline: float) -> None:
        """Waits until the stream is readable (if `read`) or writable (if not). Then flushes the waiting bytes.

        Raises:
            TimeoutError: the time `deadline` has passed.
            BrokenTransport: the flush failed, and `read` is False. If `read` is True, the failure is ignored, because
                messages that have arrived can still be read.
        """
        timeout = deadline - time.monotonic()
        if timeout <= 0:
            raise TimeoutError
        self._stream.wait(read, not read or self.wants_write, timeout)
        try:
            self.flush()
        except BrokenTransport:
            if not read:
                raise  # if `read`, go on: the peer may have sent messages before that

    # ------------------------------------------------------------------ reading

    def _recv(self) -> Optional[bytes]:
        """Returns the leftover bytes if there are any, else bytes from the stream; None if no bytes have come."""
        if self._leftover:
            data, self._leftover = self._leftover, b""
            return data
        try:
            if self._buffer is None:
                data = self._stream.recv(FIRST_READ)
            else:
                # The heap would grow by holes if a long block were made for each read, and then cut to what has come.
                data = bytes(self._buffer[: self._stream.recv_into(self._buffer)])
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._broken(error) from None
        if not data:
            raise self._broken(None)
        self.received += len(data)
        self._short = len(data) < FIRST_READ
        if self._short:
            self._buffer = None
        elif self._buffer is None:
            self._buffer = memoryview(bytearray(READ_SIZE))
        return data

    def _broken(self, error: Optional[OSError]) -> Exception:
        """Returns the exception to raise after the stream has failed with `error`, or has ended (`error` is None)."""
        if error is None and self._ended is None and self._end_is_close is not None:
            self._peer_close = self._end_is_close
        if self._ended is None:
            if self._peer_close is not None:  # after a Close, the end of the stream is no error
                self._ended = ClosedTransport(self._peer_close)
            else:
                text = error.strerror or str(error) if error else "the connection ended without a Close"
                self._ended = BrokenTransport(text)
        return self._ended

    def _answer(self, message: Message) -> None:
        if isinstance(message, Ping):
            self._try_control(Pong(message.payload))
        elif isinstance(message, Close):
            self._peer_close = message
            self._try_control(Close(1000, ""))

    def _answer_pings(self, pings: Sequence[Ping]) -> None:
        """Answers all pings of one read in one write. If other bytes wait, answers only the last ping.

        One write for each ping would cost this end more time than the peer.
        """
        if not (self._out or self._mid_frame or self._close_sent or self._write_error):
            self._out += b"".join(self._codec.frame(Pong(ping.payload)) for ping in pings[:-1])
        # While other bytes wait, answer only the last ping (RFC 6455 section 5.5.3), so that no queue can grow.
        self._answer(pings[-1])
