"""Goes on with one conversation in asyncio's loop: sends and receives, also after the link was lost; opens channels."""

from __future__ import annotations

import asyncio
import functools
import select
import time
from collections.abc import Callable, Mapping
from typing import Any

from medusa.client.aio.channel_io import ChannelIO
from medusa.client.aio.errors import ChannelClosed, ChannelError, ChannelRefused
from medusa.client.outcome import Failure, OutcomeUnknown
from medusa.client.session.ending import MAX_WORDS, channel_end
from medusa.client.session.link_errors import describe
from medusa.client.session.silence import Silence, SilenceWatch
from medusa.client.streams.arrived import Arrived, arrivals
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.negotiation import HARMLESS, Speech
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.channels.channel import Event, TooManyChannels
from medusa.protocol.channels.frames import CLOSE, GOAWAY, OPEN, REFUSED, Reason
from medusa.protocol.control import Error, Notice, StreamAnswer
from medusa.protocol.errors import StreamError
from medusa.protocol.printable import printable
from medusa.transports.link import LinkLost

TOO_OLD = "the agent of this session is too old: it has no channels"

_AT_ONCE = 8
"""The most messages that are received at once. After that the other direction and other coroutines have their turn."""


class Driver:
    """Drives one conversation. Make it in a running loop, and call `begin` once.

    The loop must use poll(2), such as `asyncio.SelectorEventLoop(selectors.PollSelector())`: a link that is replaced
    closes its descriptor, which epoll forgets.

    Args:
        conversation: the link to the reflector, on which Linkup was received: the agent has attached.
        tell: shows the user a line.
        clock: a function that returns monotonic seconds. It must be the clock of the conversation and of the loop.

    Attributes:
        over: is done as soon as the conversation is over, with the error that says why.
        offered: is called with each channel that the agent offers, and the fields of its OPEN. It calls `accept` or
            `refuse`, at once or later.
    """

    def __init__(
        self,
        conversation: Conversation,
        tell: Callable[[str], None],
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conversation, self._tell, self._timeouts, self.now = conversation, tell, timeouts, clock
        self._loop = asyncio.get_running_loop()
        self._silence = SilenceWatch(conversation.link, Silence(clock(), timeouts), tell)
        self.over: asyncio.Future[Failure] = self._loop.create_future()
        self.offered: Callable[[ChannelIO, Mapping[str, Any]], None] = _refuse
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._channels: dict[int, ChannelIO] = {}
        self._ready: dict[int, int] = {}
        self._watched: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._soon = False
        self._answer_by = clock() + timeouts.answer_timeout

    async def begin(self) -> None:
        """Offers the agent a stream, and waits for its answer. Raises Failure if there is none, or the link ends."""
        self._round(functools.partial(self._conversation.begin, HARMLESS, stays=True))
        first: list[asyncio.Future[Any]] = [self._answered, self.over]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self.over.done():
            raise self.over.result()

    async def open(self, kind: str, /, **parameters: object) -> ChannelIO:
        """Opens a channel, and waits until the agent has accepted it (docs/protocol.md, part 3).

        Raises:
            ChannelRefused: the agent has refused it, or there are too many channels.
            ChannelClosed: the conversation is over.
        """
        channel = self.open_nowait(kind, **parameters)
        try:
            await channel.wait_opened()
        except asyncio.CancelledError:
            channel.close(at_once=True)
            raise
        return channel

    def open_nowait(self, kind: str, /, **parameters: object) -> ChannelIO:
        """Opens a channel. Its bytes can be used after `wait_opened`. Raises as `open`."""
        if self.over.done():
            raise ChannelClosed(Reason("over", str(self.over.result())))
        try:
            channel = self._conversation.open(kind, **parameters)
        except TooManyChannels as error:
            raise ChannelRefused(Reason("limit", str(error))) from None
        except ValueError as error:
            raise ChannelRefused(Reason("bad-open", str(error))) from None
        except StreamError as error:
            self._fail(error)
            raise ChannelClosed(Reason(error.code, str(error))) from None
        self.wake()
        found = self._channels[channel.number] = ChannelIO(channel, self)
        return found

    @property
    def parted(self) -> bool:
        """True while the link is lost, and the way back is not found yet."""
        return self._conversation.parted

    def resumed(self) -> None:
        """Restarts the count of the reflector's silence. Call it after this process was stopped and continued."""
        self._conversation.link.reset_keepalive()
        self.wake()

    def close(self) -> None:
        """Stops to drive the conversation, which stays as it is. All channels end."""
        self._end(Failure("ended here"))

    # ------------------------------------------------------------------ what the channels need

    def wake(self) -> None:
        """Goes on soon, because something waits to be sent."""
        if not self._soon and not self.over.done():
            self._soon = True
            self._loop.call_soon(self._round)

    def attempt(self, step: Callable[[], None]) -> None:
        """Calls `step`, which queues frames, and sends soon. If too many frames wait, the conversation ends."""
        try:
            step()
        except StreamError as error:
            self._fail(error)
        self.wake()

    # ------------------------------------------------------------------ rounds

    def _round(self, step: Callable[[], None] | None = None) -> None:
        """Does what can be done now, and then watches for what comes next. `step`: what else to do first."""
        self._soon = False
        if self.over.done():
            return
        try:
            (step or self._go_on)()
        except LinkLost as lost:
            self._lost(lost)
        except StreamError as error:
            self._fail(error)
        for channel in list(self._channels.values()):
            channel.make_room()
        if not self.over.done():
            self._watch()

    def _go_on(self) -> None:
        ready, self._ready = self._ready, {}
        self._conversation.step(ready)
        for arrived in arrivals(self._conversation.receive, self._conversation.send, _AT_ONCE):
            self._take(arrived)
        self._conversation.send()
        self._conversation.keep_alive()
        self._do_what_is_due()

    def _do_what_is_due(self) -> None:
        now = self.now()
        if self._conversation.parted:  # no answer can come
            self._answer_by = now + self._timeouts.answer_timeout
        else:
            self._silence.check(now, waits=self._conversation.waits, lasting=self._conversation.lasting)
        if self._conversation.speech is Speech.NONE and now >= self._answer_by:
            self._end(Failure(f"the agent has not answered for {self._timeouts.answer_timeout:.0f} s"))

    def _lost(self, lost: LinkLost) -> None:
        try:
            while (arrived := self._conversation.receive()) is not None:  # it may say why
                self._take(arrived)
        except (LinkLost, StreamError):
            pass
        try:
            self._conversation.lost(lost)
            self._silence.restart(self.now())
        except LinkLost as final:
            self._end(OutcomeUnknown(describe(final)) if self._answered.done() else Failure(describe(final)))

    # ------------------------------------------------------------------ what arrives

    def _take(self, arrived: Arrived) -> None:
        control = arrived.control
        if isinstance(control, StreamAnswer):
            self._answered.set_result(None)
        elif isinstance(control, Notice):
            self._tell(printable(control.text, MAX_WORDS))
        elif self._conversation.speech is Speech.TERMINAL:
            words = f"\nthe agent says: {printable(control.error, MAX_WORDS)}" if isinstance(control, Error) else ""
            self._end(Failure(TOO_OLD + words))
        for event in arrived.events:
            self._happened(event)

    def _happened(self, event: Event) -> None:
        if event.type == GOAWAY:
            ended = channel_end(event)
            assert ended is not None
            self._end(OutcomeUnknown(str(ended)))
        elif event.type == OPEN:
            found = self._channels[event.channel.number] = ChannelIO(event.channel, self)
            self.offered(found, event.value)
        elif event.channel.number in self._channels:
            self._channels[event.channel.number].happened(event)
            if event.type in (CLOSE, REFUSED):
                self._channels.pop(event.channel.number, None)

    def _fail(self, error: StreamError) -> None:
        self._happened(self._conversation.fail(error))

    def _end(self, why: Failure) -> None:
        if self.over.done():
            return
        self.over.set_result(why)
        self._unwatch()
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.ended(_over(why))

    # ------------------------------------------------------------------ waiting for events

    def _watch(self) -> None:
        wanted = {fd: mask for fd, mask in self._conversation.wanted().items() if mask}
        if wanted != self._watched:
            self._watch_descriptors(wanted)
        if self._conversation.unread:
            self.wake()
        due = self._conversation.deadline()
        if not self._conversation.parted:
            due = min(due, self._silence.deadline)
        if self._conversation.speech is Speech.NONE:
            due = min(due, self._answer_by)
        if self._timer is None or self._timer.cancelled() or self._timer.when() > due:
            self._set_timer(due)

    def _watch_descriptors(self, wanted: dict[int, int]) -> None:
        loop = self._loop
        for fd, before in self._watched.items():
            for mask, remove in ((select.POLLIN, loop.remove_reader), (select.POLLOUT, loop.remove_writer)):
                if before & mask and not wanted.get(fd, 0) & mask:
                    remove(fd)
        for fd, events in wanted.items():
            for mask, add in ((select.POLLIN, loop.add_reader), (select.POLLOUT, loop.add_writer)):
                if events & mask and not self._watched.get(fd, 0) & mask:
                    add(fd, self._on_ready, fd, mask)
        self._watched = wanted

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._round()

    def _on_ready(self, fd: int, mask: int) -> None:
        self._ready[fd] = self._ready.get(fd, 0) | mask
        self._round()

    def _unwatch(self) -> None:
        self._watch_descriptors({})
        if self._timer is not None:
            self._timer.cancel()


def _over(why: Failure) -> ChannelError:
    return ChannelClosed(Reason("over", str(why)))


def _refuse(channel: ChannelIO, fields: Mapping[str, Any]) -> None:
    channel.refuse("unknown-kind", "channels of this kind cannot be opened here")
