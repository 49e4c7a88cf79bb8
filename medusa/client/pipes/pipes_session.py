"""Runs a session on three pipes: passes bytes between descriptors 0 to 2 and a command, until the command has ended."""

from __future__ import annotations

import functools
import select
import time
from collections.abc import Callable, Mapping
from typing import NoReturn

from medusa.client.outcome import GivenUp, Interrupted
from medusa.client.pipes.outputs import Outputs
from medusa.client.pipes.received_signals import ReceivedSignals
from medusa.client.pipes.source import Source
from medusa.client.session.ending import MAX_WORDS, Ending, SessionEnded, channel_end, ended_by
from medusa.client.session.link_errors import describe
from medusa.client.session.silence import Silence, SilenceWatch
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.streams.arrived import Arrived, arrivals
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.negotiation import HARMLESS, Speech
from medusa.client.streams.pace import Pace
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.channels.channel import Channel, Event
from medusa.protocol.channels.frames import DATA, EOF, STOP, Reason
from medusa.protocol.channels.kinds import STDERR, STDIN, STDOUT
from medusa.protocol.control import Control, Error, Exit, Notice, StreamAnswer
from medusa.protocol.errors import StreamError
from medusa.protocol.printable import printable
from medusa.transports.base import CLOSE_TIMEOUT
from medusa.transports.link import LinkLost

_AT_ONCE = 8
"""The most messages that are received at once, and the most pieces of input that are read at once.

After that the other direction has its turn.
"""

_READ_SIZE = 128 * 1024


class PipesSession:
    """Runs one command on pipes, at the other end of a link.

    Args:
        conversation: the client's end of the stream. The agent has attached: the message Linkup has arrived.
        messages: standard error, for the words of mlogin.
        signals: the signals that mlogin receives.
        notices: makes the notices that the job's time will soon be over.
        fds: the descriptors of standard input, output and error.
        clock: a function that returns monotonic seconds; it must be the clock that the conversation and `notices` use.

    Attributes:
        opened: True if the agent was asked to start the command.
        answered: False if the reflector did not answer mlogin's Close message, so that the link counts as dead.
    """

    _too_old = "the agent is too old for pipes (part 2); use -t for a terminal"
    _silent = "it may be too old for pipes: -t uses a terminal"

    def __init__(
        self,
        conversation: Conversation,
        messages: Messages,
        signals: Signals,
        notices: WalltimeNotices,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        fds: tuple[int, int, int] = (0, 1, 2),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._messages, self._signals = messages, signals
        self._notices, self._timeouts, self._clock = notices, timeouts, clock
        self._conversation = conversation
        self._silence = SilenceWatch(conversation.link, Silence(clock(), timeouts), messages.error)
        self._source = Source(fds[STDIN], messages.error, timeouts, fds[STDOUT:])
        self._outputs = Outputs(fds[STDOUT], fds[STDERR], messages.shown, clock)
        self._received = ReceivedSignals(signals, conversation, messages, timeouts.second_signal_delay)
        self._poll, self._pace = PollSet(), Pace()
        self._channel: Channel | None = None
        self._readable = self._woken = False
        self._heard = True  # something may have come over the link
        self._wish: Mapping[str, object] = {}
        self._answer_by = clock() + timeouts.answer_timeout
        self.answered = True

    @property
    def opened(self) -> bool:
        return self._channel is not None

    def run(self, **wish: object) -> Exit:
        """Runs a command, and waits until it has ended.

        Args:
            wish: the parameters of the channel (`session` in docs/protocol.md).

        Returns:
            How the command ended. By then the link is closed and all output is written. If output was lost because
            nobody reads standard output any more, the result is the signal SIGPIPE instead.

        Raises:
            Failure: the agent could not start the command.
            OutcomeUnknown: the session ended in any other way, so it is unknown how the command ended.
        """
        self._wish = wish
        try:
            with self._received.watching():
                ended = self._until_it_ends(self._loop)
                assert ended is not None
                if ended.step.drain:
                    ended = self._until_it_ends(self._drain) or ended
            end = ended.result()
        finally:
            self._source.close()
            self._outputs.close()
        return Exit(signal="SIGPIPE") if self._outputs.unread else end

    def _until_it_ends(self, step: Callable[[], None]) -> SessionEnded | None:
        """Calls `step`. If the session ends during the call, closes the link and returns how the session ended.

        Returns None if the session goes on.
        """
        try:
            ended = ended_by(step, self._last_words)
        except StreamError as error:
            ended = channel_end(self._conversation.fail(error))
        if ended is not None:
            self._close(ended)
            if isinstance(ended.__cause__, Interrupted) and not self.opened:  # the agent was asked for nothing
                raise ended.__cause__
        return ended

    def _close(self, ended: SessionEnded) -> None:
        if ended.step.close is not None:
            reason = Reason("done" if ended.ending is Ending.EXIT else "ended", str(ended))
            timeout = self._timeouts.disconnect_timeout if ended.step.error is GivenUp else CLOSE_TIMEOUT
            self.answered = self._conversation.close(ended.step.close, reason, timeout)

    def _last_words(self, lost: LinkLost) -> SessionEnded:
        """Returns how the session ended, after the link was lost.

        Messages that arrived before the loss may say how. If none of them does, the loss of the link has ended the
        session.
        """
        try:
            while (arrived := self._conversation.receive()) is not None:
                self._take(arrived)
        except SessionEnded as ended:
            return ended
        except (LinkLost, StreamError):
            pass
        return SessionEnded(Ending.LINK_LOST, describe(lost))

    def _loop(self) -> NoReturn:
        step: Callable[[], None] = functools.partial(self._conversation.begin, HARMLESS)
        while True:
            try:
                step()
            except LinkLost as lost:
                self._conversation.lost(lost)
                self._silence.restart(self._clock())
                self._pace.soon()
            step = self._round

    def _round(self) -> None:
        if self._heard:
            self._receive()
        self._read()
        self._conversation.send()
        if self._pace.due(self._clock(), self._woken):
            self._conversation.keep_alive()
            self._do_what_is_due()
            self._pace.checked(self._due())
        self._wait()

    def _do_what_is_due(self) -> None:
        now = self._clock()
        if notice := self._notices.check(now):
            self._messages.error(notice)
        if self._conversation.parted:  # no answer can come
            self._answer_by = now + self._timeouts.answer_timeout
        else:
            self._silence.check(now, waits=self._conversation.waits, lasting=self._conversation.lasting)
        if self._conversation.speech is Speech.NONE and now >= self._answer_by:
            text = f"the agent has not answered for {self._timeouts.answer_timeout:.0f} s; {self._silent}"
            raise SessionEnded(Ending.NOT_STARTED, text)

    # ------------------------------------------------------------------ from the agent

    def _receive(self) -> None:
        for arrived in arrivals(self._conversation.receive, self._conversation.send, _AT_ONCE):
            self._take(arrived)

    def _take(self, arrived: Arrived) -> None:
        if arrived.control is not None:
            self._on_control(arrived.control)
        for event in arrived.events:
            self._happened(event)

    def _happened(self, event: Event) -> None:
        """Acts on an event of the stream. Raises SessionEnded if it ends the session."""
        if event.type in (DATA, EOF):
            self._outputs.pump(event.sub)
        elif event.type == STOP:
            self._source.stop()
        if ended := channel_end(event):
            raise ended

    def _on_control(self, control: Control) -> None:
        if isinstance(control, StreamAnswer):
            self._open()
        elif isinstance(control, Notice):
            self._messages.error(printable(control.text, MAX_WORDS))
        elif self._conversation.speech is Speech.TERMINAL:
            words = f"\nthe agent says: {printable(control.error, MAX_WORDS)}" if isinstance(control, Error) else ""
            raise SessionEnded(Ending.NOT_STARTED, self._too_old + words)

    def _open(self) -> None:
        try:
            self._channel = self._conversation.open("session", **self._wish)
        except ValueError as error:
            words = f"the command cannot be sent to the agent: {error}\n  a long script goes in by standard input"
            raise SessionEnded(Ending.NOT_STARTED, words) from None
        self._outputs.attach(self._channel.readers)

    # ------------------------------------------------------------------ to the agent

    def _read(self) -> None:
        """Reads standard input and sends it, as much as the agent and the link take now.

        Does nothing if poll has reported no input.
        """
        channel = self._channel
        if channel is None or not self._readable:
            return
        self._readable = False
        for _ in range(1 if self._source.may_block else _AT_ONCE):
            if not self._takes_input():
                return
            data = self._source.read(min(channel.room(STDIN), _READ_SIZE))
            if data is None:
                return
            if not data:
                channel.end(STDIN)
                return
            channel.write(STDIN, data)
            self._conversation.send()

    def _takes_input(self) -> bool:
        """Returns True if the agent and the link take more input."""
        return self._channel is not None and self._conversation.clear and self._channel.room(STDIN) > 0

    # ------------------------------------------------------------------ waiting for events

    def _wait(self) -> None:
        conversation, more = self._conversation, self._conversation.unread
        until = min(self._pace.at, conversation.send_at(), self._source.deadline)
        ready = self._poll.wait(self._wanted(), 0.0 if more else until - self._clock())
        self._woken, self._readable = more or bool(ready), self._source.fileno() in ready
        heard = conversation.parted or conversation.link.fileno() in ready
        conversation.step(ready)
        self._heard = heard or conversation.unread
        if self._signals.fileno() in ready:
            self._pace.soon()
            self._received.act(self._channel, self._clock())
        self._outputs.act(ready)

    def _wanted(self) -> dict[int, int]:
        """Returns the descriptors to poll, and for each the events to wait for, as flags of select.poll."""
        reads = self._takes_input() and self._source.ready(self._clock())
        return {
            self._signals.fileno(): select.POLLIN,
            **self._conversation.wanted(),
            self._source.fileno(): select.POLLIN if reads else 0,
            **self._outputs.wanted(),
        }

    def _due(self) -> float:
        """Returns the time at which to check what is due, such as a keepalive or a notice."""
        due = [self._conversation.deadline(), self._notices.deadline]
        if not self._conversation.parted:
            due.append(self._silence.deadline)
        if self._conversation.speech is Speech.NONE:
            due.append(self._answer_by)
        return min(due)

    def _drain(self) -> None:
        """Writes all output that is left, even if its reader is slow. A signal can interrupt this."""
        self._outputs.pump_all()
        while self._outputs.pending:
            self._poll.wait({self._signals.fileno(): select.POLLIN, **self._outputs.wanted()})
            self._signals.take_or_raise()
            self._outputs.pump_all()
