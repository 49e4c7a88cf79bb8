"""The interface of the agent's side of a session, which the session of the user's terminal uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from medusa.transports.link import Link, LinkLost


class Remote(Protocol):
    """A command on a terminal, at the other end of the link. No method waits, except `close`.

    In each round of its loop, the session calls `receive`, `keep_alive` and `flush`, polls for `wanted`, and calls
    `step` with the events.

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

        It is another one after the agent has answered the offer of a stream: its answer decides how to talk to it.
        """

    def receive(self, room: int) -> bytes:
        """Processes what has arrived on the link, and returns output for the user; b"" if there is none now.

        Call it again until it returns b"".

        Args:
            room: the most bytes that the user's terminal is to take now. If it is not positive, no output is returned.
                If each message of the agent is returned whole, the output may be longer than `room`.

        Raises:
            SessionEnded: the agent's side has ended the session. `rest` may return more output.
            LinkLost: the link has ended.
        """

    def rest(self) -> bytes:
        """Returns the output that has arrived and that `receive` has not returned. Call it after the session's end."""

    @property
    def more(self) -> bool:
        """True if `receive` would return output that has arrived already. Poll does not report such output."""

    @property
    def room(self) -> int:
        """The number of bytes of input that `send` takes now."""

    def send(self, data: bytes) -> None:
        """Sends input to the command, at most `room` bytes. Raises LinkLost."""

    def resize(self, columns: int, lines: int) -> bool:
        """Tells the command's terminal its new size. Returns False if that is not possible now. Raises LinkLost."""

    @property
    def detachable(self) -> bool:
        """True if the agent can keep the terminal without this client, also if its link to the reflector is lost."""

    def detach(self) -> None:
        """Asks the agent to keep the terminal without this client. Raises LinkLost."""

    @property
    def detached(self) -> bool:
        """True if the agent has got the request of `detach`."""

    def flush(self) -> None:
        """Sends as much of what waits to be sent as the link accepts now. Raises LinkLost."""

    @property
    def parted(self) -> bool:
        """True while the link is lost, and the session waits for another one."""

    @property
    def waits(self) -> bool:
        """True if something was sent that the agent has not acknowledged."""

    @property
    def lasting(self) -> bool:
        """True if the session goes on over another link after its link is lost."""

    def lost(self, lost: LinkLost) -> None:
        """Begins to look for another link, because a method has raised `lost`. Raises it if there will be none."""

    def step(self, events: Mapping[int, int]) -> None:
        """Goes on looking for another link, if the link is lost. `events`: what poll has reported, by descriptor.

        Raises:
            LinkLost: there will be no other link.
        """

    def keep_alive(self) -> None:
        """Pings the reflector if a ping is due. Raises LinkLost."""

    def wanted(self, room: int) -> dict[int, int]:
        """Returns the events to poll for, by descriptor. `room`: see `receive`."""

    def deadline(self) -> float:
        """Returns the time at which to call `step`, `keep_alive` and `flush`, in seconds of the link's clock."""

    def close(self, reason: str, timeout: float) -> bool:
        """Ends the link. Waits up to `timeout` seconds for the reflector's Close. Returns True if it came."""
