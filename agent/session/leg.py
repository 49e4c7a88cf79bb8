"""Serves one link of the agent: reads it, finds out which protocol the client uses, and closes it."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Protocol, Union

from agent import link_ends
from agent.poller import FAILED, PEER_CLOSED
from agent.process.commands import Commands
from agent.process.context import Context
from agent.session.terminal import TerminalSpeaker
from agent.streams.registry import Streams
from agent.streams.shared import Shared
from medusa.protocol import control
from medusa.protocol.control import Call, Control, Linkup, Start, StreamAnswer
from medusa.protocol.features import HOLD
from medusa.protocol.messages import Binary, Close, Message, Part, Text
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.resume.records import MAX_MESSAGE, PARTS_ABOVE
from medusa.transports.base import Transport
from medusa.transports.link import Link, LinkLost, Loss, closed

MESSAGES_PER_ROUND = 64

_MAX_GONE = 1
"""How often the agent answers, on one link, that it does not have the stream which the client wants to resume.

After that, it ignores such messages `start`.
"""


class Speaker(Protocol):
    """The agent's end of the protocol on one link: a command on a terminal, or a stream of many channels.

    Attributes:
        reading: True if the caller should read more messages from the link.
    """

    @property
    def reading(self) -> bool: ...

    def receive(self, message: Union[Binary, Part, Control]) -> None:
        """Processes a message that has come on the link."""

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor. The link itself is not among them."""

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""

    def serve(self, events: Dict[int, int]) -> None:
        """Moves bytes between the link and the commands, without waiting. Raises LinkLost.

        Args:
            events: what poll reported, as a mask for each descriptor.
        """

    def lost(self, lost: LinkLost, words: str) -> None:
        """Closes this end of the link, because the peer's end is gone. Logs `words`.

        Ends the link's commands, except the commands of a stream that is kept.
        """

    def stop(self, name: str) -> None:
        """Ends the link's commands and closes the link, because the signal `name` asks the agent to stop."""

    def fail(self) -> None:
        """Ends the link's commands and closes the link, after an unexpected exception."""


class Leg:
    """One link of the agent, which serves one client. It lives until the link is closed.

    Args:
        transport: the link's transport. From now on, only this object uses it.
        context: its function `log` logs lines about this link.
        call: a function that dials the reflector once more, for a client that joins. Its argument is the id by which
            the reflector asked for this new link.
        shared: what all streams of the agent share.
        streams: all streams of the agent.

    Attributes:
        over: True if the link is closed.
        vanished: True if the link was lost without a Close.
        met: True if the client has asked for a command or a stream, or has left. If the link ends and this is False,
            the link was lost, and the client may come back.
    """

    def __init__(
        self,
        transport: Transport,
        commands: Commands,
        context: Context,
        shared: Shared,
        call: Callable[[str], None],
        streams: Streams,
    ) -> None:
        self._context, self._call, self._shared, self._streams = context, call, shared, streams
        self._clock, self._timeouts = context.clock, context.timeouts
        self._link = Link(transport, self._clock, self._timeouts.keepalive_interval)
        self._terminal = TerminalSpeaker(self._link, commands, context, shared, self._close)
        self._speaker: Speaker = self._terminal
        self._gone = 0
        self._close_at: Optional[float] = None
        self._linked = False  # there is a client
        self._deaf = False  # the link is being closed, and nothing more will come
        self.over = self.met = self.vanished = False

    @property
    def closing(self) -> bool:
        """True if the link is being closed, or is closed. From this time on, its commands are being ended."""
        return self._close_at is not None

    # ------------------------------------------------------------------ poll

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        if self.closing:
            return {self._link.fileno(): self._link.events(reading=not self._deaf)}
        return {
            self._link.fileno(): self._link.events(reading=self._speaker.reading) | PEER_CLOSED,
            **self._speaker.wanted(),
        }

    def deadline(self) -> float:
        """Returns the time at which to call `serve` even without an event."""
        if self._link.unread and (not self._deaf if self.closing else self._speaker.reading):
            return self._clock()
        if self._close_at is not None:
            return self._close_at
        due = self._speaker.deadline()
        return self._link.deadline() if due is None else min(due, self._link.deadline())

    def serve(self, events: Dict[int, int]) -> None:
        """Reads the link, and moves bytes between the link and the commands, without waiting.

        Args:
            events: what poll reported, as a mask for each descriptor.
        """
        if not self.closing:
            try:
                self._serve(events)
            except LinkLost as lost:
                left = lost.code == link_ends.OVER and lost.detail != link_ends.CLIENT_LOST
                self.met = self.met or (self._linked and left)
                self.vanished = lost.loss in (Loss.SILENT, Loss.BROKEN)
                self._speaker.lost(lost, link_ends.describe(lost, self._link.limit))
        if self.closing and not self.over:
            self._finish()

    def _serve(self, events: Dict[int, int]) -> None:
        self._link.flush()
        self._read(events.get(self._link.fileno(), 0))
        if not self.closing:
            self._speaker.serve(events)
        if not self.closing:
            self._link.keep_alive()

    # ------------------------------------------------------------------ what arrives

    def _read(self, events: int) -> None:
        if not self._speaker.reading:
            if events & (PEER_CLOSED | FAILED):
                words = "link lost while the terminal did not take its input"
                self._speaker.lost(LinkLost(Loss.BROKEN), words)
            return
        if not events and not self._link.unread:
            return
        for _ in range(MESSAGES_PER_ROUND):
            message = self._link.receive()
            if message is None:
                return
            self._receive(message)
            if not self._link.unread or self.closing or not self._speaker.reading:
                return

    def _receive(self, message: Message) -> None:
        if isinstance(message, Close):
            raise closed(message)
        if isinstance(message, (Binary, Part)):
            self._speaker.receive(message)
            return
        self._shared.calm = False
        if isinstance(message, Text):
            request = control.parse(message.text)
            if isinstance(request, Call):
                self._call(request.leg)
            elif isinstance(request, Start) and request.stream is not None:
                self.met = True
                self._negotiate(request.stream)
            elif request is not None:
                self.met = self.met or isinstance(request, Start)
                self._linked = self._linked or isinstance(request, Linkup)
                self._speaker.receive(request)

    def _negotiate(self, offer: StreamOffer) -> None:
        """Answers the client's offer to use a stream (many channels) on this link. The link is then used by the stream.

        The stream is a new one, or one that was kept after it lost its link. Ignores the offer if a command was started
        on this link, or if a stream has begun here.
        """
        if not self._terminal.waits or self._speaker is not self._terminal:
            return
        found = self._streams.take_up(offer, self._link, self._context, self._close)
        if found is not None:
            self._answer(offer, found.received)
            self._link.limit_messages(MAX_MESSAGE, PARTS_ABOVE)
            self._speaker = found
            return
        if self._gone < _MAX_GONE:
            self._answer(offer, 0, gone=True)
        self._gone += 1

    def _answer(self, offer: StreamOffer, received: int, *, gone: Optional[bool] = None) -> None:
        features = (HOLD,) if self._streams.keeps else ()
        incarnation = self._context.incarnation
        answer = StreamAnswer(offer.id, received, incarnation, features, gone=gone, message=MAX_MESSAGE)
        self._link.queue(Text(control.build(answer)))

    # ------------------------------------------------------------------ the end

    def stop(self, name: str) -> None:
        """Closes the link because the signal `name` asks the agent to stop."""
        if not self.closing:
            self._speaker.stop(name)

    def fail(self) -> None:
        """Closes the link after an unexpected exception."""
        if not self.closing:
            self._speaker.fail()

    def _close(self, words: str, reason: str) -> None:
        """Begins to close the link. Logs `words`, if they are not empty, and sends the peer `reason`."""
        if self.closing:
            return
        self._close_at = self._clock() + self._timeouts.close_timeout
        if words:
            self._context.log("session over: " + words)
        try:
            self._link.queue(Close(1000, reason))
        except LinkLost:
            pass  # nothing more can be sent, or the peer has closed first

    def _finish(self) -> None:
        """Ends the link if the peer's Close has come, or has not come in time."""
        assert self._close_at is not None
        over = self._clock() >= self._close_at
        try:
            self._link.flush()
        except LinkLost:
            over = True
        try:
            for _ in range(MESSAGES_PER_ROUND):
                if self._deaf or self._link.receive() is None:
                    break
        except LinkLost:
            self._deaf = True
        if over or (self._deaf and self._link.clear):
            self._link.abort()
            self.over = True
