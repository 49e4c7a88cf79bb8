"""The interfaces of the parts of a transport. Only type checkers use this file: it is not in the agent's archive."""

from __future__ import annotations

from typing import List, Optional, Protocol, Sequence, Union

from medusa.protocol.messages import Message
from medusa.protocol.relay import Framing, Relayed, Unfinished


class Stream(Protocol):
    """A stream of bytes in both directions, such as a socket.

    `recv`, `recv_into` and `send` never block. They raise BlockingIOError if nothing can be read or written now, and
    another OSError if the stream has failed.
    """

    def fileno(self) -> int:
        """Returns the file descriptor to poll; -1 if there is none."""

    @property
    def pending(self) -> bool:
        """True if `recv` may have bytes that a poll of `fileno` would not report."""

    def recv(self, size: int) -> bytes:
        """Reads and returns up to `size` bytes; b"" at the end of the stream."""

    def recv_into(self, buffer: memoryview) -> int:
        """Reads into `buffer`. Returns the number of bytes; 0 at the end of the stream."""

    def send(self, data: Union[bytes, memoryview]) -> int:
        """Sends a part of `data`, or all of it. Returns the number of bytes that were sent.

        After BlockingIOError, the data of the next call must begin with the same bytes, because a stream with TLS may
        have encrypted some of them already.
        """

    def send_pieces(self, pieces: List[Union[bytes, memoryview]]) -> int:
        """Sends a part of the bytes of `pieces`, or all of them, in the same way as `send`."""

    def wait(self, read: bool, write: bool, timeout: Optional[float]) -> None:
        """Waits until the stream is readable (if `read`) or writable (if `write`), at most `timeout` seconds.

        May also return earlier.
        """

    def shutdown(self) -> None:
        """Ends the sending direction: the peer sees the end of the stream. Never raises."""

    def close(self) -> None:
        """Closes the stream in both directions. May be called more than once."""


class Codec(Protocol):
    """A codec: converts messages to bytes in one framing, and back."""

    def limit_messages(self, size: int) -> None:
        """Sets the limit of one message to `size` bytes, for the frames that begin from now on."""

    def read_in_parts(self, above: int) -> None:
        """Makes `next_message` return a binary message of more than `above` bytes in Parts, as they arrive."""

    def receive_data(self, data: bytes) -> None:
        """Stores bytes that have come from the stream. `next_message` parses them."""

    @property
    def empty(self) -> bool:
        """True if the codec holds no bytes of a message."""

    def next_message(self) -> Optional[Message]:
        """Returns the next whole message, or None if more bytes are needed.

        Raises:
            RemoteProtocolError: the peer broke the rules. Raised only once.
        """

    def frame(self, message: Message) -> bytes:
        """Returns the bytes to send for `message`. Raises LocalProtocolError if the message cannot be sent."""

    def binary(self, pieces: Sequence[Union[bytes, memoryview]]) -> List[Union[bytes, memoryview]]:
        """Returns the bytes to send, in pieces, for a Binary message that consists of `pieces`."""


class Relay(Protocol):
    """A relay: turns the bytes that arrive on its link into the bytes to write to another link."""

    @property
    def framing(self) -> Framing:
        """The framing of the link that this relay reads from.

        Pass it as the argument `framing` to `feed` of the relay of the opposite direction.
        """

    @property
    def mid_frame(self) -> bool:
        """True if a part of a frame was forwarded, and the rest of this frame has not come yet."""

    @property
    def held(self) -> int:
        """The number of held bytes: the start of an unfinished frame, which the relay keeps until the rest comes."""

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Moves the held bytes to the start of `buffer`, in front of the new bytes in buffer[held:end].

        Call it before `feed`. Returns the offset in `buffer` at which the input for `feed` begins: 0 if the held bytes
        were moved. If all these bytes together are too few to be parsed, moves nothing and returns `held`.
        """

    @property
    def unfinished(self) -> Optional[Unfinished]:
        """The message that has begun to arrive and is not whole yet. None if there is none."""

    def stream_above(self, size: int) -> None:
        """Makes the relay forward an unfragmented frame of more than `size` bytes piece by piece, as it arrives.

        This holds for frames that begin from now on.
        """

    def stop(self) -> None:
        """Drops the held bytes (the start of an unfinished frame or message). All later input is ignored."""

    def skip_message(self) -> None:
        """Drops the message that is arriving, if there is one. Later messages are forwarded as usual."""

    def feed(self, data: Union[bytes, memoryview], framing: Framing) -> Relayed:
        """Turns bytes from the stream into bytes for a link of `framing`. May overwrite `data` if it is writable."""


class Share(Protocol):
    """Counts the memory that a group of transports uses in total, and limits it."""

    @property
    def tight(self) -> bool:
        """True if so much of the memory is used that each transport should hold as few bytes as possible."""

    def take(self, size: int) -> str:
        """Counts `size` more bytes and returns "". If they would exceed a limit, counts none and returns the reason."""

    def add(self, size: int) -> None:
        """Counts `size` more bytes, even beyond the limits, because they are held already.

        If `size` is negative, counts so many bytes fewer.
        """
