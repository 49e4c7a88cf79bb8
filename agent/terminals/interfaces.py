"""What terminals, their viewers and the streams of the viewers know of each other."""

from __future__ import annotations

import enum
from typing import Optional, Protocol

from medusa.protocol.channels.frames import Reason
from medusa.protocol.control import Resize


class Leave(enum.Enum):
    """The reasons why a viewer leaves its terminal."""

    DETACHED = "the client asked to leave the terminal as it is"
    CLOSED = "the client has closed the channel or the stream"
    LOST = "the stream was given up after the loss of its link"
    TOLD = "the command has ended, and the client was told"


class Watching(Protocol):
    """The interface of a Viewer, a client that shows the terminal.

    Attributes:
        read_only: True if the client may not type.
        size: the size of the client's own terminal; None if it is not known.
    """

    read_only: bool
    size: Optional[Resize]

    @property
    def parted_at(self) -> Optional[float]:
        """The time, in monotonic seconds, since which the client has no link; None if it has one."""

    @property
    def keep(self) -> float:
        """The number of seconds for which the client's stream is kept without a link."""

    @property
    def room(self) -> int:
        """The number of bytes of new output that the client takes now. 0 until it has taken all earlier output."""

    @property
    def has_input(self) -> bool:
        """True if the client has sent input that the terminal has not accepted yet."""

    def feed(self, now: float) -> None:
        """Writes the client's input to the terminal, as much as the terminal accepts."""

    def catch_up(self) -> None:
        """Skips most of the output that the client has not taken, if there is much of it."""

    def close(self, reason: Reason) -> None:
        """Closes the channel of this viewer. The caller removes the viewer from the terminal."""


class Streaming(Protocol):
    """The interface of a client's stream that its viewers use.

    Attributes:
        keep: for how many seconds the stream is kept without a link.
        parked_since: the time since which the stream is kept without a link, in monotonic seconds; None if it has a
            link.
    """

    keep: int
    parked_since: Optional[float]
