"""The agent's side of a session without a stream: parts 1 and 2 of docs/protocol.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.link_errors import MAX_NOTICE
from medusa.protocol.control import Control, Error, Exit, Notice, Resize, Start, Started, parse
from medusa.protocol.messages import Binary, Close, Message, Text
from medusa.protocol.printable import printable
from medusa.transports.link import Link, LinkLost, closed

HIGH_WATER = 256 * 1024
"""If this many bytes wait for the user's terminal, the link is not read."""

MESSAGE_SIZE = 64 * 1024
"""The maximum number of bytes of input in one message."""


class PlainRemote:
    """A command in a terminal, without a stream. Each binary message holds bytes of the terminal.

    Args:
        link: the link. The agent has attached: the message Linkup has arrived on it.
        start: the message that asks for the command.
        tell: a function that shows a text to the user: a notice of the reflector's.
    """

    high_water = HIGH_WATER
    more = detachable = detached = False

    def __init__(self, link: Link, start: Start, tell: Callable[[str], None]) -> None:
        self.link, self._start, self._tell = link, start, tell
        self._started = False

    def begin(self) -> None:
        self.link.send_control(self._start)

    def settled(self) -> PlainRemote:
        return self

    def receive(self, room: int) -> bytes:
        while room > 0 and (message := self.link.receive()) is not None:
            if data := self._take(message):
                return data
        return b""

    def rest(self) -> bytes:
        return b""

    @property
    def room(self) -> int:
        return MESSAGE_SIZE if self.link.clear else 0

    def send(self, data: bytes) -> None:
        self.link.send_data(data)

    def resize(self, columns: int, lines: int) -> bool:
        if not self.link.clear:
            return False
        self.link.send_control(Resize(columns, lines))
        return True

    def detach(self) -> None:
        raise AssertionError("it is not detachable")

    def part(self, take: Callable[[int], bytes]) -> None:
        raise AssertionError("it is not detachable")

    def flush(self) -> None:
        self.link.flush()

    parted = waits = lasting = sending = False

    def lost(self, lost: LinkLost) -> None:
        raise lost

    def step(self, events: Mapping[int, int]) -> None:
        pass

    def keep_alive(self) -> None:
        self.link.keep_alive()

    def wanted(self, room: int) -> dict[int, int]:
        return {self.link.fileno(): self.link.events(reading=room > 0)}

    def deadline(self) -> float:
        return self.link.deadline()

    def flush_at(self) -> float:
        return math.inf

    def close(self, reason: str, timeout: float) -> bool:
        return self.link.close(reason, timeout)

    def handle(self, control: Control | None) -> None:
        """Processes a control message; does nothing for None. Raises SessionEnded if the message ends the session."""
        if control is not None and (handler := _ON_CONTROL.get(type(control))):
            handler(self, control)

    def _take(self, message: Message) -> bytes:
        """Processes a message. Returns the output in it; b"" if there is none."""
        if isinstance(message, Binary):
            return message.data
        if isinstance(message, Close):
            raise closed(message)
        if isinstance(message, Text):
            self.handle(parse(message.text))
        return b""

    def _on_started(self, _: Started) -> None:
        self._started = True

    def _on_exit(self, end: Exit) -> None:
        raise SessionEnded(Ending.EXIT, end=end)

    def _on_error(self, error: Error) -> None:
        ending = Ending.AGENT_FAILED if self._started else Ending.NOT_STARTED
        raise SessionEnded(ending, f"the agent says: {printable(error.error, MAX_NOTICE)}")

    def _on_notice(self, notice: Notice) -> None:
        self._tell(printable(notice.text, MAX_NOTICE))


_ON_CONTROL: dict[type[Control], Callable[[PlainRemote, Any], None]] = {
    Started: PlainRemote._on_started,
    Exit: PlainRemote._on_exit,
    Error: PlainRemote._on_error,
    Notice: PlainRemote._on_notice,
}
"""The handler of each control message. Control messages of other types are ignored."""
