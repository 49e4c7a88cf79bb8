"""Defines the interface by which a session of the user's terminal uses the agent's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from medusa.transports.link import Link, LinkLost


class Remote(Protocol):
    """The agent's side of a session: a command in a terminal, at the other end of the link.

    Only `close` waits; all other methods return at once. In each round of its loop, the session calls `receive` and
    `flush`, polls for `wanted`, and calls `step` with the events. At times it calls `keep_alive`: at the time that
    `deadline` returns, and soon after something has happened, because that changes the time.

    Attributes:
        link: the link to the reflector. After it is lost, it may get another connection.
        high_water: if this many bytes of output wait for the user's terminal, no more are taken.
    """

    link: Link
    high_water: int

    def begin(self) -> None:
        """Asks the agent to start the command. Raises LinkLost."""

    def settled(self) -> Remote:
        """Returns the object to use from now on: this one, or another. Call it after `receive` and `send`.

        It is another one after the agent has said whether it accepts a stream, or has not answered in time.
        """

    def receive(self, room: int) -> bytes:
        """Processes what has arrived on the link, and returns output for the user; b"" if there is none now.

        Call it again until it returns b"".

        Args:
            room: how many bytes the user's terminal takes now. If it is 0 or less, no output is returned. Some
                implementations return the agent's messages whole. Then the output may be longer than `room`.

        Raises:
            SessionEnded: the agent's side has ended the session. `rest` may return more output.
            LinkLost: the link has ended.
        """

    def rest(self) -> bytes:
        """Returns the output that `receive` has not returned yet. Call it after the session's end."""

    @property
    def more(self) -> bool:
        """True if `receive` would return output that has arrived already. Poll does not report such output."""

    @property
    def room(self) -> int:
        """The number of bytes of input that `send` takes now."""

    def send(self, data: bytes) -> None:
        """Accepts input for the command, at most `room` bytes. `flush` sends it. Raises LinkLost."""

    @property
    def sending(self) -> bool:
        """True if input that `send` has accepted waits here, so that a request could overtake it."""

    def resize(self, columns: int, lines: int) -> bool:
        """Tells the command's terminal the new size of the user's terminal. Raises LinkLost.

        Returns False if that is not possible now. Then call this again later.
        """

    @property
    def detachable(self) -> bool:
        """True if the command's terminal can go on without this client, even after the link is lost."""

    def detach(self) -> None:
        """Asks the agent to keep the terminal without this client. Raises LinkLost."""

    @property
    def detached(self) -> bool:
        """True if the agent has confirmed that it keeps the terminal without this client."""

    def part(self, take: Callable[[int], bytes]) -> None:
        """Notes what is to be sent to the agent after mlogin's end, because the agent has not confirmed `detach`.

        After that, call nothing else. `take`: a function that returns up to so many bytes of input that was not sent.
        """

    def flush(self) -> None:
        """Sends as much of what waits to be sent as the link accepts now. Raises LinkLost."""

    @property
    def parted(self) -> bool:
        """True while the link is lost and a new one is being made."""

    @property
    def waits(self) -> bool:
        """True if bytes were sent that the agent has not acknowledged."""

    @property
    def lasting(self) -> bool:
        """True if the session goes on over a new link after its link is lost."""

    def lost(self, lost: LinkLost) -> None:
        """Begins to make a new link. Call it after a method has raised `lost`.

        Raises:
            LinkLost: there can be no new link. The exception is `lost`.
        """

    def step(self, events: Mapping[int, int]) -> None:
        """Goes on with making a new link, if the link is lost. Call it in each round.

        Args:
            events: what poll has reported: descriptor -> events.

        Raises:
            LinkLost: there will be no new link.
        """

    def keep_alive(self) -> None:
        """Pings the reflector if a ping is due. Raises LinkLost."""

    def wanted(self, room: int) -> dict[int, int]:
        """Returns what to poll for: descriptor -> events. `room`: the argument for the next call of `receive`."""

    def deadline(self) -> float:
        """Returns the time at which to call `step`, `keep_alive` and `flush`, in seconds of the link's clock."""

    def flush_at(self) -> float:
        """Returns the part of `deadline` that may become earlier in each round: when to call `step` and `flush`."""

    def close(self, reason: str, timeout: float) -> bool:
        """Ends the link. Waits up to `timeout` seconds for the reflector's Close message. Returns True if it came."""
