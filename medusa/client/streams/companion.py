"""Defines the interface of what uses channels of a stream beside the session, such as forwarded connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from medusa.protocol.channels.channel import Event
from medusa.protocol.streams.end import StreamEnd


class Carrier(Protocol):
    """The part of a conversation that a companion uses.

    Attributes:
        stream: this end of the stream.
    """

    stream: StreamEnd

    @property
    def parted(self) -> bool:
        """True while there is no link over which the stream can go on."""

    @property
    def clear(self) -> bool:
        """True if the link takes more bytes now."""

    def send(self) -> None:
        """Sends what waits in the stream, as much as the link accepts now. Raises LinkLost if the link has ended."""


class Companion(Protocol):
    """Uses channels of a stream beside the session. A conversation calls it in each round of the session's loop.

    If a method raises StreamError, the conversation ends the stream.
    """

    def start(self, conversation: Carrier) -> None:
        """Begins, because the agent has accepted the stream. The session opens its own channel after this call."""

    def unavailable(self) -> None:
        """Gives up, because the agent knows no streams."""

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""

    def deadline(self) -> float:
        """Returns the time at which to call `act` even without an event; infinity for never."""

    def act(self, events: Mapping[int, int]) -> None:
        """Acts on the events that poll has reported, by descriptor. Raises LinkLost."""

    def happened(self, event: Event) -> bool:
        """Acts on an event of the stream. Returns False, and does nothing, if the event's channel is not its own."""
