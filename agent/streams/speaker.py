"""The agent's end of a stream: processes what arrives, sends what waits, and goes on after its link was lost."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Union

from agent.link_ends import TAKEN_OVER, comes_back
from agent.poller import earliest
from agent.process.commands import Commands
from agent.process.context import Context
from agent.streams.channels import ServedChannels
from agent.streams.shared import Shared
from agent.terminals.interfaces import Leave
from medusa.protocol.channels.channel import Event
from medusa.protocol.channels.frames import DATA, GOAWAY
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Control
from medusa.protocol.errors import StreamError
from medusa.protocol.messages import Binary, Part
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.streams.end import StreamEnd
from medusa.transports.link import Link, LinkLost

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
        self._context, self._keeps, self._ended = context, keeps, ended
        self._clock, self._shared = context.clock, shared
        self._end = StreamEnd(Role.AGENT, shared.memory, shared.memory)
        self._link: Optional[Link] = None
        self._close: Callable[[str, str], None] = _no_link
        self.keep = self.number = 0
        self.parked_since: Optional[float] = None
        self._stays = False  # the client comes back even if all its commands have ended
        self._channels = ServedChannels(self._end.channels, commands, context, shared, self)
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
            while self._channels.offers:  # all of them now, because their time limit went on without a link
                self._channels.open_next()
        except StreamError as error:
            self._over(self._end.fail(error))
        return True

    @property
    def reading(self) -> bool:
        """Always True: the link may be read, because the channels' windows limit how much the client may send."""
        return True

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        return self._channels.wanted()

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        if self._channels.offers:
            return self._clock()
        return earliest([self._end.deadline(), self._leave_at, *[part.deadline() for part in self._channels.parts]])

    # ------------------------------------------------------------------ what arrives

    def receive(self, message: Union[Binary, Part, Control]) -> None:
        """Processes a binary message of the link, or a part of one. Ignores control messages."""
        if isinstance(message, (Binary, Part)):
            first = isinstance(message, Binary) or message.first
            self._act(self._end.receive(message.data, self._clock(), first))

    def _act(self, events: List[Event]) -> None:
        for event in events:
            self._shared.calm = self._shared.calm and event.type == DATA
            try:
                if event.type == GOAWAY:
                    self._over(event)
                else:
                    self._channels.happened(event)
            except StreamError as error:
                self._over(self._end.fail(error))

    def _over(self, goaway: Event) -> None:
        """Ends the commands of the stream, because the stream has ended.

        Args:
            goaway: the event that says why the stream has ended.
        """
        self._shared.calm = False
        code, words = goaway.value
        if code not in ("", "done"):
            self._words = "%s: %s" % (code, words)
        self._channels.end(Leave.CLOSED if code in ("", "done") else Leave.LOST)
        if self._leave_at is None:
            self._leave_at = self._clock() + self._context.timeouts.leave_timeout

    # ------------------------------------------------------------------ what is sent

    def serve(self, events: Dict[int, int]) -> None:
        """Moves output to the link, and input to the commands. Raises LinkLost.

        Args:
            events: what poll reported, as a mask for each descriptor.
        """
        channels, now = self._channels, self._clock()
        if channels.offers:
            self._shared.calm = False
            try:
                channels.open_next()
            except StreamError as error:
                self._over(self._end.fail(error))
        self._act(self._end.expire(now))
        parts = channels.parts
        for _ in range(1 + TURNS):
            try:
                parts, events = channels.serve(parts, now, events)
            except StreamError as error:
                self._over(self._end.fail(error))
                parts = []
            self._send()
            if not (parts and self._clear):
                break
            now = self._clock()
        if self._leave_at is not None:
            self._check_end(self._leave_at)

    def _send(self) -> None:
        link = self._link
        while link is not None and link.clear:
            message = self._end.next_message(self._clock(), link.message_size)
            if message is None:
                return
            link.send_data(*message)

    def _check_end(self, leave_at: float) -> None:
        if self._end.over and self._clear:
            self._leave(self._words, "done")
        elif self._clock() >= leave_at:
            self._leave(self._words + "; the client did not take the last words")

    # ------------------------------------------------------------------ the end

    def lost(self, lost: LinkLost, words: str) -> None:
        """Gives up the link, because it has ended. If the client cannot come back, ends the stream too.

        Args:
            lost: the end of the link.
            words: a text for the log about this end.
        """
        ends = self._leave_at is not None or self._end.over or self._complete or not self.keep
        if ends or not comes_back(lost) or not self._keeps():
            self._channels.end(Leave.LOST if comes_back(lost) else Leave.CLOSED)
            self._leave(words)
            return
        self._context.log("%s; what runs there is kept for %d s" % (words, self.keep))
        self._end.link_down()
        self._close("", "")
        self._link, self._close, self.parked_since = None, _no_link, self._clock()

    @property
    def needed(self) -> bool:
        """True if something still runs for the client, or if the client has not received all results."""
        channels = self._channels
        if channels.forwarding:
            return True
        if channels.sessions and not channels.offers:
            return any(session.needed for session in channels.sessions.values())
        return not self._complete

    @property
    def _complete(self) -> bool:
        """True if the client was told how all of its commands have ended, and nothing else is left to resume."""
        # A stream on which nothing has run yet is not complete.
        return self._channels.reported and not (self._stays or self._channels.offers) and self._end.complete

    def give_up(self, words: str) -> None:
        """Ends a stream that has no link, and its commands. `words` say why, for the log."""
        self._context.log("session over: " + words)
        self._channels.end(Leave.LOST)
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
        self._channels.end(Leave.LOST)
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
