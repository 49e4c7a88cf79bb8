"""What a transport is made of. For type checkers alone: does not travel with the agent."""

from __future__ import annotations

from typing import Optional, Protocol, Union

from medusa.protocol.messages import Kind, Message
from medusa.protocol.websocket.relay import FrameHeader, Relayed


class Stream(Protocol):
    """Bytes both ways. `recv` and `send` raise BlockingIOError instead of waiting, OSError when it is gone."""

    def fileno(self) -> int:
        """The descriptor to watch; -1 where there is none."""

    @property
    def pending(self) -> bool:
        """Whether `recv` may have bytes that no poll of `fileno` would report."""

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""

    def recv_into(self, buffer: memoryview) -> int:
        """As `recv`, into `buffer`: how many bytes, 0 at the end."""

    def send(self, data: Union[bytes, memoryview]) -> int:
        """How many bytes were taken. After BlockingIOError the same bytes come again, perhaps with more behind them."""

    def wait(self, read: bool, write: bool, timeout: Optional[float]) -> None:
        """Until ready for any of what is asked, closed, or `timeout` seconds are over; perhaps shorter."""

    def shutdown(self) -> None:
        """Nothing more will be sent. Never raises."""

    def close(self) -> None:
        """Let go of both directions, and wake up who waits. Idempotent."""


class Codec(Protocol):
    """The message face of a framing."""

    def receive_data(self, data: bytes) -> None:
        """Store bytes from the stream."""

    def next_message(self) -> Optional[Message]:
        """The next whole message, or None. Raises RemoteProtocolError, once."""

    def frame(self, message: Message) -> bytes:
        """The bytes of a message. Raises LocalProtocolError."""

    def frame_header(self, kind: Kind, length: int) -> bytes:
        """The header of a data frame."""


class Relay(Protocol):
    """The relay face of a framing."""

    @property
    def mid_frame(self) -> bool:
        """Whether part of a frame was let out and the rest is to come."""

    @property
    def held(self) -> int:
        """Bytes of an unfinished frame that are kept in it."""

    def put_back(self, buffer: memoryview, end: int) -> int:
        """Where to feed from: at the bytes that are held, put before what was read behind room for them, or at that."""

    def skip_message(self) -> None:
        """Drop the message that is arriving, if any."""

    def feed(self, data: Union[bytes, memoryview], frame_header: FrameHeader) -> Relayed:
        """Take bytes from the stream, which may be overwritten; what to write to the other link."""
