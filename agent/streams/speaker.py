"""The agent's end of a stream on one link: processes what arrives, sends what waits, and ends the stream."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from agent.command.resolve import CannotStart
from agent.process.commands import Commands
from agent.process.context import Context
from agent.streams.opening import amend, open_session
from agent.streams.session_channel import SessionChannel
from agent.streams.shared import Shared
from medusa import __version__
from medusa.protocol.channels.channel import Channel, Event, State
from medusa.protocol.channels.frames import GOAWAY, OPEN, REQUEST
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Control
from medusa.protocol.errors import StreamError
from medusa.protocol.messages import Binary, Part
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.link import Link, LinkLost

Sessions = List[Tuple[Channel, SessionChannel]]

TURNS = 3
"""How often output is read and sent once more in one round of the agent's loop, as long as the link accepts it."""


class StreamSpeaker:
    """The agent's end of a stream. It has the methods of `Speaker` in agent/session/leg.py.

    Args:
        link: the link that the stream uses.
        close: closes the link. Its arguments are words for the log, and the reason for the peer.
        limit: the length of the longest message that the client reads, in bytes.
    """

    def __init__(
        self,
        link: Link,
        commands: Commands,
        context: Context,
        shared: Shared,
        close: Callable[[str, str], None],
        limit: int,
    ) -> None:
        self._link, self._commands, self._context, self._shared, self._close = link, commands, context, shared, close
        self._clock = context.clock
        self._end = StreamEnd(Role.AGENT, shared.memory, shared.memory)
        self._end.link_up(0, limit)
        self._offers: Dict[Channel, Dict[str, Any]] = {}  # the fields of OPEN, for channels that are not answered yet
        self._sessions: Dict[Channel, SessionChannel] = {}
        self._words = "done"
        self._leave_at: Optional[float] = None

    @property
    def reading(self) -> bool:
        """True: the link may always be read. The channels' windows limit how much the client may send."""
        return True

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        return {fd: mask for session in self._sessions.values() for fd, mask in session.wanted().items()}

    def deadline(self) -> Optional[float]:
        """Returns when to call `serve` even if poll reports no event; None for never."""
        if self._offers:
            return self._clock()
        due = [self._end.deadline(), self._leave_at, *(session.deadline() for session in self._sessions.values())]
        return min((at for at in due if at is not None), default=None)

    # ------------------------------------------------------------------ what arrives

    def receive(self, message: Union[Binary, Part, Control]) -> None:
        """Processes a binary message of the link, or a part of one. Ignores control messages."""
        if isinstance(message, (Binary, Part)):
            first = isinstance(message, Binary) or message.first
            self._act(self._end.receive(message.data, self._clock(), first))

    def _act(self, events: List[Event]) -> None:
        for event in events:
            try:
                self._happened(event)
            except StreamError as error:
                self._over(self._end.fail(error))

    def _happened(self, event: Event) -> None:
        if event.type == GOAWAY:
            self._over(event)
        elif event.type == OPEN and event.channel.kind == "session":
            self._offers[event.channel] = event.value
        elif event.type == OPEN:
            words = "the agent (version %s) cannot open channels of the kind %s" % (__version__, event.channel.kind)
            event.channel.refuse("unsupported", words)
        elif event.type == REQUEST and event.channel in self._offers:
            amend(self._offers[event.channel], event.value)
        elif event.channel in self._sessions:
            self._sessions[event.channel].happened(event.type, event.sub, event.value)

    def _open_next(self) -> None:
        """Starts the command of the next channel that the client has opened, and accepts or refuses the channel.

        Opens only one channel in each round of the loop, because a command takes time to start.
        """
        if not self._offers:
            return
        channel = next(iter(self._offers))
        fields = self._offers.pop(channel)
        if channel.state is not State.OFFERED:
            return
        try:
            session = open_session(channel, fields, self._commands, self._context, self._shared)
        except CannotStart as error:
            self._context.log("not started: %s" % error)
            channel.refuse(error.code, str(error))
            return
        self._sessions[channel] = session  # first, because `accept` may raise StreamError, which ends all of these
        channel.accept(pid=session.child.pid)

    def _over(self, goaway: Event) -> None:
        """Ends the commands of the stream, because the stream has ended. `goaway`: the event that says why."""
        code, words = goaway.value
        if code not in ("", "done"):
            self._words = "%s: %s" % (code, words)
        self._end_sessions()
        if self._leave_at is None:
            self._leave_at = self._clock() + self._context.timeouts.leave_timeout

    # ------------------------------------------------------------------ what is sent

    def serve(self, events: Dict[int, int]) -> None:
        """Moves output to the link, and input to the commands. Raises LinkLost.

        Args:
            events: what poll reported, by descriptor.
        """
        try:
            self._open_next()
        except StreamError as error:
            self._over(self._end.fail(error))
        moved, again = self._serve(list(self._sessions.items()), events)
        self._act(self._end.expire(self._clock()))
        self._send()
        for _ in range(TURNS):
            if not (moved and self._link.clear):
                break
            moved, again = self._serve(moved, again)
            self._send()
        self._check_end()

    def _serve(self, sessions: Sessions, events: Dict[int, int]) -> Tuple[Sessions, Dict[int, int]]:
        """Serves `sessions`. Returns those that had output, and events for the descriptors that may have more."""
        moved: Sessions = []
        again: Dict[int, int] = {}
        now = self._clock()
        for channel, session in sessions:
            try:
                found = session.serve(now, events)
            except StreamError as error:
                self._over(self._end.fail(error))
                return [], {}
            if found:
                moved.append((channel, session))
                again.update(found)
            if session.over:
                self._forget(channel)
        return moved, again

    def _send(self) -> None:
        while self._link.clear:
            message = self._end.next_message(self._clock())
            if message is None:
                return
            self._link.send_data(*message)

    def _check_end(self) -> None:
        if self._end.over and self._link.clear:
            self._leave(self._words, "done")
        elif self._leave_at is not None and self._clock() >= self._leave_at:
            self._leave(self._words + "; the client did not take the last words")

    # ------------------------------------------------------------------ the end

    def _forget(self, channel: Channel) -> None:
        session = self._sessions.pop(channel)
        session.end()
        if session.has_terminal:
            self._shared.terminals -= 1

    def _end_sessions(self) -> None:
        self._offers.clear()
        self._commands.end(*(session.child for session in self._sessions.values()))
        for channel in list(self._sessions):
            self._forget(channel)

    def lost(self, lost: LinkLost, words: str) -> None:
        """Ends the commands of this stream, because the link has ended."""
        self._end_sessions()
        self._leave(words)

    def stop(self, name: str) -> None:
        """Ends the stream because the signal `name` stops the agent. Tells the peer why, if that needs no wait."""
        self._over(self._end.fail(StreamError("stopped", "the agent was stopped by %s" % name)))
        try:
            self._send()
        except LinkLost:
            pass  # the link ends in any case
        self._leave("stopped by %s" % name)

    def fail(self) -> None:
        """Ends the commands of this stream, and closes its link, after an unexpected exception."""
        self._end_sessions()
        self._leave("")

    def _leave(self, words: str, reason: str = "") -> None:
        """Begins to close the link, and gives back this stream's part of the memory that all streams share."""
        self._end.leave()
        self._close(words, reason)
