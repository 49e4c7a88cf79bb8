"""What a transport is made of. For type checkers alone: does not travel with the agent."""

from __future__ import annotations

from typing import Optional, Protocol, Union

from medusa.protocol.messages import Message
from medusa.protocol.relay import Framing, Relayed


class Stream(Protocol):
    """Bytes both ways. `recv` and `send` raise BlockingIOError instead of waiting, OSError if the stream is gone."""

    def fileno(self) -> int:
        """The descriptor to watch; -1 if there is none."""

    @property
    def pending(self) -> bool:
        """Whether `recv` may have bytes that no poll of `fileno` would report."""

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""

    def recv_into(self, buffer: memoryview) -> int:
        """Like `recv`, into `buffer`; returns how many bytes came, 0 at the end."""

    def send(self, data: Union[bytes, memoryview]) -> int:
        """How many bytes were taken. After BlockingIOError call it with the same bytes; more may follow them."""

    def wait(self, read: bool, write: bool, timeout: Optional[float]) -> None:
        """Until ready for any of what is asked, closed, or `timeout` seconds have passed; may return earlier."""

    def shutdown(self) -> None:
        """Nothing more will be sent. Never raises."""

    def close(self) -> None:
        """Let go of both directions. Idempotent."""


class Codec(Protocol):
    """Messages of a framing."""

    def receive_data(self, data: bytes) -> None:
        """Store bytes from the stream."""

    def next_message(self) -> Optional[Message]:
        """The next whole message, or None. Raises RemoteProtocolError, once."""

    def frame(self, message: Message) -> bytes:
        """The bytes of a message. Raises LocalProtocolError."""


class Relay(Protocol):
    """Turns the bytes of a framing into those of another link's."""

    @property
    def framing(self) -> Framing:
        """How to write to this link: for the relay that reads the other one."""

    @property
    def mid_frame(self) -> bool:
        """Whether part of a frame was let out and the rest is to come."""

    @property
    def held(self) -> int:
        """Number of bytes of an unfinished frame that are kept in it."""

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Offset to feed from: 0 if the held bytes were copied in front of the new ones, else the start of those."""

    def skip_message(self) -> None:
        """Drop the message that is arriving, if any."""

    def feed(self, data: Union[bytes, memoryview], framing: Framing) -> Relayed:
        """What to write to a link of `framing` for bytes from the stream, which may be overwritten."""
