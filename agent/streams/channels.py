"""The channels of one stream: starts what the client asks for, and serves it until its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Union

from agent.command.resolve import CannotStart
from agent.process.commands import Commands
from agent.process.context import Context
from agent.streams.opening import Opened, Opener, amend
from agent.streams.shared import Shared
from agent.terminals.interfaces import Leave, Streaming
from medusa.protocol.channels.channel import Channel, Event, State
from medusa.protocol.channels.frames import OPEN, REQUEST
from medusa.protocol.channels.kinds import FORWARDED
from medusa.protocol.channels.multiplexer import Channels

if TYPE_CHECKING:
    from agent.streams.forwards import Forwards

MAX_EARLY = 8
"""The most requests, such as signals, that are kept of a channel whose command is not started yet: the last ones."""

Parts = List[Union[Opened, "Forwards"]]
"""The objects that serve the channels. Each has one channel, except Forwards, which has many."""


class ServedChannels:
    """The channels of one stream, with the commands, terminals and connections that they belong to.

    Args:
        channels: this end of the channels.
        stream: is passed to what shows a terminal.

    Attributes:
        offers: the fields of OPEN of each channel that was not answered yet. A later round answers it.
        sessions: what serves each channel of a command or terminal.
        reported: True after the first RESULT.
    """

    def __init__(
        self, channels: Channels, commands: Commands, context: Context, shared: Shared, stream: Streaming
    ) -> None:
        self.offers: Dict[Channel, Dict[str, Any]] = {}
        self.sessions: Dict[Channel, Opened] = {}
        self.reported = False
        self._forwards: Optional[Forwards] = None
        self._channels, self._commands, self._context, self._shared = channels, commands, context, shared
        self._opener = Opener(commands, context, shared, stream)

    @property
    def parts(self) -> Parts:
        """All objects to pass to `serve`."""
        return [*([] if self._forwards is None else [self._forwards]), *self.sessions.values()]

    @property
    def forwarding(self) -> bool:
        """True if something is forwarded."""
        return self._forwards is not None and self._forwards.needed

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        wanted = {} if self._forwards is None else self._forwards.wanted()
        for session in self.sessions.values():
            wanted.update(session.wanted())
        return wanted

    def happened(self, event: Event) -> None:
        """Processes an event of a channel. Raises StreamError if too much waits to be sent."""
        if event.type == OPEN and event.channel.kind in FORWARDED and self._forwards is None:
            from agent.streams.forwards import Forwards  # takes long to import, and few sessions forward

            self._forwards = Forwards(self._channels, self._context, self._shared.lookups)
        if self._forwards is not None and self._forwards.happened(event):
            return
        if event.type == OPEN:
            self.offers[event.channel] = event.value
        elif event.type == REQUEST and event.channel in self.offers:
            offer = self.offers[event.channel]
            amend(offer, event.value)
            offer["early"] = [*offer.get("early", ()), event.value][-MAX_EARLY:]
        elif event.channel in self.sessions:
            self.sessions[event.channel].happened(event.type, event.sub, event.value)

    def open_next(self) -> None:
        """Starts the command of the next channel that the client has opened, and accepts or refuses the channel.

        Opens only one channel in each round of the loop, because a command takes time to start.

        Raises:
            StreamError: too much waits to be sent.
        """
        if not self.offers:
            return
        channel = next(iter(self.offers))
        fields = self.offers.pop(channel)
        if channel.state is not State.OFFERED:
            return
        try:
            session = self._opener.open(channel, fields)
        except CannotStart as error:
            self._context.log("not started: %s" % error)
            channel.refuse(error.code, str(error))
            return
        if session is not None:
            self.sessions[channel] = session  # before `accept`: if it raises StreamError, all of these are ended
            channel.accept(**session.opened)
            for request in fields.get("early", ()):
                session.happened(REQUEST, 0, request)

    def serve(self, parts: Parts, now: float, events: Dict[int, int]) -> Tuple[Parts, Dict[int, int]]:
        """Serves these parts. Returns those that had output, and the events with which to serve them again.

        Args:
            now: the time, in monotonic seconds.
            events: what poll reported, as a mask for each descriptor.

        Raises:
            StreamError: too much waits to be sent.
        """
        moved: Parts = []
        again: Dict[int, int] = {}
        for part in parts:
            found = part.serve(now, events)
            if found:
                moved.append(part)
                again.update(found)
        for channel in [channel for channel, session in self.sessions.items() if session.over]:
            self.reported, self._shared.calm = True, False
            del self.sessions[channel]
        return moved, again

    def end(self, why: Leave) -> None:
        """Ends everything, because the stream has ended: the commands, and what is forwarded."""
        self.offers.clear()
        if self._forwards is not None:
            self._forwards.end()
        self._commands.end(*(child for session in self.sessions.values() for child in session.children))
        for channel in list(self.sessions):
            self.sessions.pop(channel).end(why)
