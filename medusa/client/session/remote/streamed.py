"""The agent's side of a session on a stream: the terminal is one channel of the stream (docs/protocol.md, part 3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from medusa.client.session.ending import Ending, SessionEnded, channel_end
from medusa.client.session.link_errors import MAX_NOTICE
from medusa.client.streams.arrived import Arrived
from medusa.client.streams.conversation import Conversation
from medusa.protocol.channels.channel import Channel, TooManyChannels
from medusa.protocol.channels.frames import CLOSE, OPENED, Reason
from medusa.protocol.channels.kinds import STDIN, STDOUT, Role
from medusa.protocol.channels.multiplexer import Channels
from medusa.protocol.control import Notice, Start
from medusa.protocol.errors import StreamError
from medusa.protocol.printable import printable
from medusa.transports.link import LinkLost

HIGH_WATER = 64 * 1024
"""If this many bytes wait for the user's terminal, no more are taken from the channel.

It is small, because after Control-C the user still sees the bytes that wait here, and those that wait in the channel.
"""

DETACHED = "detached"
"""The code of the CLOSE by which the agent confirms that it keeps the terminal without this client."""

INPUT_SIZE = 64 * 1024
"""The number of bytes of input that `send` accepts and drops at once, after the command has stopped to take input."""


class StreamRemote:
    """A command in a terminal, over one channel of a stream that the agent has accepted.

    Args:
        conversation: the link and its stream.
        start: what to run.
        tell: a function that shows a text to the user: a notice of the reflector's.
        clock: a function that returns monotonic seconds.

    Attributes:
        opened: True if the agent has started the command.
    """

    high_water = HIGH_WATER

    def __init__(
        self,
        conversation: Conversation,
        start: Start,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.link = conversation.link
        self._conversation, self._start, self._tell, self._clock = conversation, start, tell, clock
        self.opened = self._left = False

    def begin(self) -> None:
        self._begin("session", parameters(self._start))

    def _begin(self, kind: str, fields: Mapping[str, object]) -> None:
        """Opens a channel of this kind, with these parameters. Raises SessionEnded if it cannot be opened."""
        try:
            self._channel: Channel = self._conversation.open(kind, **fields)
        except (TooManyChannels, ValueError) as error:
            raise SessionEnded(Ending.NOT_STARTED, f"the command cannot be sent to the agent: {error}") from None
        self._output = self._channel.readers[STDOUT]

    def settled(self) -> StreamRemote:
        return self

    def receive(self, room: int) -> bytes:
        while not self._output or room <= 0:
            arrived = self._conversation.receive()
            if arrived is None:
                return b""
            self.take(arrived)
        return self._read(room)

    def rest(self) -> bytes:
        return self._read(len(self._output))

    @property
    def more(self) -> bool:
        return len(self._output) > 0

    @property
    def room(self) -> int:
        if self._channel.writers[STDIN].stopped:
            return INPUT_SIZE
        return 0 if self.parted else self._channel.room(STDIN)  # meanwhile, the session keeps what is typed

    def send(self, data: bytes) -> None:
        if not self._channel.writers[STDIN].stopped:
            self._channel.write(STDIN, data)

    @property
    def sending(self) -> bool:
        return self._channel.waiting

    def resize(self, columns: int, lines: int) -> bool:
        if not self._conversation.clear:
            return False
        try:
            self._channel.request("resize", columns=columns, lines=lines)
        except StreamError as error:
            self.take(Arrived([self._conversation.fail(error)]))
        self.flush()
        return True

    @property
    def detachable(self) -> bool:
        return self._conversation.lasting

    def detach(self) -> None:
        self._channel.request("detach")
        self.flush()

    @property
    def detached(self) -> bool:
        return self._left

    def part(self, take: Callable[[int], bytes]) -> None:
        writer = self._channel.writers.get(STDIN)
        room = 0 if writer is None or writer.stopped else self._channel.room(STDIN)
        if room and (data := take(room)):
            self._channel.write(STDIN, data)
        self._conversation.part()

    def flush(self) -> None:
        self._conversation.send()

    @property
    def parted(self) -> bool:
        return self._conversation.parted

    @property
    def waits(self) -> bool:
        return self._conversation.waits

    @property
    def lasting(self) -> bool:
        return self._conversation.lasting

    def lost(self, lost: LinkLost) -> None:
        self._conversation.lost(lost)

    def step(self, events: Mapping[int, int]) -> None:
        self._conversation.step(events)

    def keep_alive(self) -> None:
        self._conversation.keep_alive()

    def wanted(self, room: int) -> dict[int, int]:
        """Returns the events to poll for, by descriptor.

        The link is always read. The channel's window limits how much the agent can send.
        """
        return self._conversation.wanted()

    def deadline(self) -> float:
        return self._conversation.deadline()

    def flush_at(self) -> float:
        return self._conversation.send_at()

    def close(self, reason: str, timeout: float) -> bool:
        return self._conversation.close(reason, Reason("done", reason), timeout)

    def _read(self, size: int) -> bytes:
        """Takes up to `size` bytes of output from the channel, and returns them. Then the agent may send more."""
        return self._output.read(size, self._clock())

    def take(self, arrived: Arrived) -> None:
        """Processes what a message has brought. Raises SessionEnded if the session has ended."""
        if isinstance(arrived.control, Notice):
            self._tell(printable(arrived.control.text, MAX_NOTICE))
        for event in arrived.events:
            if event.type == OPENED:
                self._on_opened(event.value)
            elif event.type == CLOSE and event.value.code == DETACHED:
                self._left = True
            elif ended := channel_end(event):
                raise ended

    def _on_opened(self, fields: Mapping[str, object]) -> None:
        self.opened = True


def fits(start: Start) -> bool:
    """Returns True if the command and the variables in the message `start` fit into the frame that opens a channel."""
    try:
        Channels(Role.CLIENT).open("session", **parameters(start))
    except ValueError:
        return False
    return True


def parameters(start: Start) -> dict[str, object]:
    """Returns the parameters of a channel for the same command as the message `start` asks for."""
    command = start.arguments[1] if start.arguments[:1] == ("-c",) else None
    return {
        "command": command,
        "pty": {"term": start.term, "columns": start.columns, "lines": start.lines, "modes": start.modes or ""},
        "env": dict(start.env or {}),
        "named": list(start.named or ()),
        "login": start.login is True,
        "cwd": start.cwd,
    }
