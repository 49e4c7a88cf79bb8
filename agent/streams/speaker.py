"""The agent's end of a stream: processes what arrives, sends what waits, and goes on after its link was lost."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from agent.command.resolve import CannotStart
from agent.link_ends import TAKEN_OVER, comes_back
from agent.process.commands import Commands
from agent.process.context import Context
from agent.streams.forwards import Forwards
from agent.streams.opening import Opened, Opener, amend
from agent.streams.shared import Shared
from agent.terminals.terminal import Leave
from medusa.protocol.channels.channel import Channel, Event, State
from medusa.protocol.channels.frames import GOAWAY, OPEN, REQUEST
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Control
from medusa.protocol.errors import StreamError
from medusa.protocol.messages import Binary, Part
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.link import Link, LinkLost

Parts = List[Union[Opened, Forwards]]
"""The objects that serve the channels. Each has one channel, except Forwards, which has many."""

TURNS = 3
"""How often output is read and sent once more in one round of the agent's loop, as long as the link accepts it."""


class StreamSpeaker:
    """The agent's end of a stream. It has the methods of `Speaker` in agent/session/leg.py.

    The stream has a link from `use` on, until the link is lost. While it has no link, call only `use` and `give_up`.
    The link's Leg calls the other methods.

    Args:
        keeps: a function that returns True if the stream is to be kept after its link was lost.
        ended: a function that is called at the end of the stream. Its argument is the stream.

    Attributes:
        keep: for how many seconds the stream is kept without a link.
        number: the largest number of the offers by which the client has asked for the stream (see StreamOffer).
        parked_since: the time since which the stream is kept without a link; None if it has a link, or has ended.
    """

    def __init__(
        self,
        commands: Commands,
        context: Context,
        shared: Shared,
        keeps: Callable[[], bool],
        ended: Callable[[StreamSpeaker], None],
    ) -> None:
        self._commands, self._context, self._shared, self._keeps, self._ended = commands, context, shared, keeps, ended
        self._clock = context.clock
        self._end = StreamEnd(Role.AGENT, shared.memory, shared.memory)
        self._link: Optional[Link] = None
        self._close: Callable[[str, str], None] = _no_link
        self.keep = self.number = 0
        self.parked_since: Optional[float] = None
        self._stays = False  # the client comes back even if all its commands have ended
        self._reported = False  # True after the first RESULT: a stream on which nothing has run yet is not complete
        self._offers: Dict[Channel, Dict[str, Any]] = {}  # the fields of OPEN, until a later round answers the channel
        self._sessions: Dict[Channel, Opened] = {}
        self._forwards = Forwards(self._end.channels, context, shared.lookups)
        self._opener = Opener(commands, context, shared, self)
        self._words = "done"
        self._leave_at: Optional[float] = None

    # ------------------------------------------------------------------ the link

    @property
    def received(self) -> int:
        """The number of bytes that the agent has received on this stream."""
        return self._end.received

    @property
    def kept_until(self) -> float:
        """The time at which a stream without a link is given up."""
        return (self.parked_since or 0.0) + self.keep

    @property
    def doubt_at(self) -> Optional[float]:
        """The time at which the link becomes doubtful, if bytes are not acknowledged and nothing comes. None: never."""
        if self._link is None or not self._end.kept:
            return None
        return self._link.heard + self._context.timeouts.doubt_timeout

    @property
    def _clear(self) -> bool:
        """True if there is a link on which a message may be sent now."""
        return self._link is not None and self._link.clear

    def use(self, link: Link, close: Callable[[str, str], None], offer: StreamOffer) -> bool:
        """Uses `link` for the stream from now on. Closes the link that the stream has used before, if there is one.

        Returns False and does nothing if the stream is over, or if bytes that the client has not received are not kept
        any more. If this method returns True, the caller must tell the client how many bytes have arrived here, before
        anything else is sent.

        Args:
            close: a function that closes the link. Its arguments are a text for the log, and the reason for the peer.
            offer: the client's offer, with the number of bytes that the client has received.
        """
        if self._end.over or not self._end.link_up(offer.received, offer.message):
            return False
        self._close("", TAKEN_OVER)
        self._link, self._close, self.keep, self.parked_since = link, close, offer.keep, None
        self.number = max(self.number, offer.number)
        self._stays = offer.stays
        try:
            while self._offers:  # all of them now, because their time limit went on without a link
                self._open_next()
        except StreamError as error:
            self._over(self._end.fail(error))
        return True

    @property
    def reading(self) -> bool:
        """Always True: the link may be read, because the channels' windows limit how much the client may send."""
        return True

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        wanted = self._forwards.wanted()
        for session in self._sessions.values():
            wanted.update(session.wanted())
        return wanted

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        if self._offers:
            return self._clock()
        due = [self._end.deadline(), self._leave_at, *[part.deadline() for part in self._parts]]
        return min([at for at in due if at is not None], default=None)

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
        elif self._forwards.happened(event):
            return
        elif event.type == OPEN:
            self._offers[event.channel] = event.value
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
            session = self._opener.open(channel, fields)
        except CannotStart as error:
            self._context.log("not started: %s" % error)
            channel.refuse(error.code, str(error))
            return
        if session is not None:
            self._sessions[channel] = session  # before `accept`: if it raises StreamError, all of these are ended
            channel.accept(**session.opened)

    def _over(self, goaway: Event) -> None:
        """Ends the commands of the stream, because the stream has ended.

        Args:
            goaway: the event that says why the stream has ended.
        """
        code, words = goaway.value
        if code not in ("", "done"):
            self._words = "%s: %s" % (code, words)
        self._end_sessions(Leave.CLOSED if code in ("", "done") else Leave.LOST)
        if self._leave_at is None:
            self._leave_at = self._clock() + self._context.timeouts.leave_timeout

    # ------------------------------------------------------------------ what is sent

    def serve(self, events: Dict[int, int]) -> None:
        """Moves output to the link, and input to the commands. Raises LinkLost.

        Args:
            events: what poll reported, as a mask for each descriptor.
        """
        try:
            self._open_next()
        except StreamError as error:
            self._over(self._end.fail(error))
        moved, again = self._serve(self._parts, events)
        self._act(self._end.expire(self._clock()))
        self._send()
        for _ in range(TURNS):
            if not (moved and self._clear):
                break
            moved, again = self._serve(moved, again)
            self._send()
        self._check_end()

    @property
    def _parts(self) -> Parts:
        return [self._forwards, *self._sessions.values()]

    def _serve(self, parts: Parts, events: Dict[int, int]) -> Tuple[Parts, Dict[int, int]]:
        """Serves these parts. Returns those that had output, and the events with which to serve them again.

        Args:
            events: what poll reported, as a mask for each descriptor.
        """
        moved: Parts = []
        again: Dict[int, int] = {}
        now = self._clock()
        for part in parts:
            try:
                found = part.serve(now, events)
            except StreamError as error:
                self._over(self._end.fail(error))
                return [], {}
            if found:
                moved.append(part)
                again.update(found)
        for channel in [channel for channel, session in self._sessions.items() if session.over]:
            self._reported = True
            del self._sessions[channel]
        return moved, again

    def _send(self) -> None:
        link = self._link
        while link is not None and link.clear:
            message = self._end.next_message(self._clock())
            if message is None:
                return
            link.send_data(*message)

    def _check_end(self) -> None:
        if self._end.over and self._clear:
            self._leave(self._words, "done")
        elif self._leave_at is not None and self._clock() >= self._leave_at:
            self._leave(self._words + "; the client did not take the last words")

    # ------------------------------------------------------------------ the end

    def _end_sessions(self, why: Leave = Leave.LOST) -> None:
        self._offers.clear()
        self._forwards.end()
        self._commands.end(*(child for session in self._sessions.values() for child in session.children))
        for channel in list(self._sessions):
            self._sessions.pop(channel).end(why)

    def lost(self, lost: LinkLost, words: str) -> None:
        """Gives up the link, because it has ended. If the client cannot come back, ends the stream too.

        Args:
            lost: the end of the link.
            words: a text for the log about this end.
        """
        ends = self._leave_at is not None or self._end.over or self._complete or not self.keep
        if ends or not comes_back(lost) or not self._keeps():
            self._end_sessions(Leave.LOST if comes_back(lost) else Leave.CLOSED)
            self._leave(words)
            return
        self._context.log("%s; what runs there is kept for %d s" % (words, self.keep))
        self._end.link_down()
        self._close("", "")
        self._link, self._close, self.parked_since = None, _no_link, self._clock()

    @property
    def needed(self) -> bool:
        """True if something still runs for the client, or if the client has not received all results."""
        if self._forwards.needed:
            return True
        if self._sessions and not self._offers:
            return any(session.needed for session in self._sessions.values())
        return not self._complete

    @property
    def _complete(self) -> bool:
        """True if the client was told how all of its commands have ended, and nothing else is left to resume."""
        return self._reported and not (self._stays or self._offers) and self._end.complete

    def give_up(self, words: str) -> None:
        """Ends a stream that has no link, and its commands. `words` say why, for the log."""
        self._context.log("session over: " + words)
        self._end_sessions()
        self._leave("")

    def stop(self, name: str) -> None:
        """Ends the stream, because the signal `name` stops the agent. Tells the peer why, if that is possible now."""
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
        """Begins to close the link, and releases the stream's part of the shared memory.

        Args:
            words: a text for the log.
            reason: the reason of the Close, for the peer.
        """
        self._end.leave()
        self._ended(self)
        self._close(words, reason)
        self._link, self._close, self.parked_since = None, _no_link, None


def _no_link(words: str, reason: str) -> None:
    """Does nothing. It is used in place of a function that closes the link, while the stream has no link."""
