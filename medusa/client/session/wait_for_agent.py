"""Waits until the agent has attached to the session. mlogin attaches first; the agent attaches when its job runs."""

from __future__ import annotations

import contextlib
import enum
import math
import select
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from medusa.client.launchers.base import JobState, Launcher
from medusa.client.outcome import Failure
from medusa.client.session.link_errors import MAX_NOTICE, describe, describe_close
from medusa.client.session.silence import Silence, SilenceWatch
from medusa.client.streams.lost_link.returning import COME_BACK
from medusa.client.terminal.console import Console
from medusa.client.terminal.messages import SPINNER_INTERVAL
from medusa.client.terminal.poll_set import PollSet
from medusa.protocol import control
from medusa.protocol.messages import Close, Message, Text
from medusa.protocol.printable import printable
from medusa.session import GOING_AWAY
from medusa.transports.base import Transport
from medusa.transports.link import Link, LinkLost

POLL_INTERVAL = 1.0
"""Seconds between two checks of the job, if mlogin shows no spinner. A spinner needs a shorter interval."""


class LinkEnd(enum.Enum):
    """The ways in which a link can end before the agent has attached."""

    LOST = "it broke, or the reflector does not answer"
    STOPPED = "the reflector that held it stops"
    CLOSED = "the reflector closed it and said why"
    KILLED = "the session was killed"


class Reconnects(NamedTuple):
    """Limits how many times in total mlogin may attach again after its link has ended.

    Attributes:
        queued: the limit for jobs that can wait in a queue, perhaps for longer than a reflector keeps a waiting client.
        immediate: the limit for jobs that start at once.
    """

    queued: float
    immediate: int


RECONNECTS = {
    # immediate=5: if six links break, the cause is hardly a lost reflector.
    LinkEnd.LOST: Reconnects(queued=math.inf, immediate=5),
    LinkEnd.STOPPED: Reconnects(queued=math.inf, immediate=5),
    LinkEnd.CLOSED: Reconnects(queued=math.inf, immediate=0),
    LinkEnd.KILLED: Reconnects(queued=0, immediate=0),
}


class WaitForAgent:
    """Waits until the agent of one session has attached. Call `run` once.

    Args:
        link: mlogin's link to the reflector.
        launcher: the launcher of the job.
        console: the user's terminal, messages and signals.
        deadline: the time, by `clock`, at which to give up; None to wait as long as the job lives.
        reconnect: a function that attaches again and returns the new connection, or raises Failure. None to give up if
            the link ends.
        queues: True if jobs of this launcher can wait in a queue.
        clock: a function that returns monotonic seconds.

    Attributes:
        take_ticket: a function that is called with each new ticket of the reflector. With a ticket, mlogin can come
            back after the link is lost.
        tell_after: for how many seconds `run` shows nothing.
    """

    tell_after: float = 0.0
    take_ticket: Callable[[str], None] = staticmethod(lambda ticket: None)

    def __init__(
        self,
        link: Link,
        launcher: Launcher,
        console: Console,
        *,
        deadline: float | None = None,
        reconnect: Callable[[], Transport] | None = None,
        queues: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._launcher = launcher
        self._messages, self._signals = console.messages, console.signals
        self._terminal = console.terminal
        self._deadline = math.inf if deadline is None else deadline
        self._reconnect = reconnect
        self._queues = queues
        self._clock = clock
        self._silence = SilenceWatch(link, Silence(clock(), waiting=True), self._messages.error)
        self._poll = PollSet()
        self._reconnects = 0
        self._killed = False

    def run(self) -> None:
        """Waits until the message Linkup has arrived: the agent has attached. Later messages stay unread.

        Raises:
            Failure: the job or the link ended, or the deadline passed.
            Interrupted: a signal asked mlogin to end.
        """
        begun = self._clock()
        try:
            while not self._linked():
                state = self._launcher.poll()
                if not state.alive:
                    if self._linked():  # the agent may have attached before its job ended
                        return
                    raise self._job_ended(state)
                now = self._clock()
                with contextlib.suppress(LinkLost):  # `_linked` finds that too, and replaces the link
                    self._silence.check(now)
                if now >= self._deadline:
                    raise self._too_late(state, now - begun)
                if now - begun >= self.tell_after:
                    self._report(state, now - begun)
                if not self._launcher.asks:
                    self._terminal.make_attentive()  # mlogin may have come to the foreground
                self._wait(now)
                self._take_signals()
        finally:
            self._messages.progress_done()

    def _linked(self) -> bool:
        """Reads the messages that have arrived. Returns True if Linkup was among them."""
        try:
            self._link.flush()
            while (message := self._link.receive()) is not None:
                if isinstance(message, Close):
                    self._replace_link(self._end(message), describe_close(message))
                    return False
                if self._is_linkup(message):
                    return True
            self._link.keep_alive()
        except LinkLost as error:
            self._replace_link(LinkEnd.LOST, describe(error))
        return False

    def _is_linkup(self, message: Message) -> bool:
        parsed = control.parse(message.text) if isinstance(message, Text) else None
        if isinstance(parsed, control.Notice):
            self._messages.error(printable(parsed.text, MAX_NOTICE))
        if isinstance(parsed, control.Ticket):
            self.take_ticket(parsed.ticket)
        if isinstance(parsed, control.Wait) and parsed.outcome == control.KILLED:
            self._killed = True
        return isinstance(parsed, control.Linkup)

    def _end(self, close: Close) -> LinkEnd:
        if self._killed:
            return LinkEnd.KILLED
        return LinkEnd.STOPPED if close.code in (GOING_AWAY, COME_BACK) else LinkEnd.CLOSED

    def _replace_link(self, end: LinkEnd, why: str) -> None:
        """Attaches again after the link has ended. Raises Failure if mlogin may not attach again, or cannot.

        Args:
            end: how the link ended. It decides how often mlogin may attach again.
            why: the text of the Failure if mlogin may not attach again.
        """
        allowed = RECONNECTS[end].queued if self._queues else RECONNECTS[end].immediate
        if self._reconnect is None or not allowed:
            raise Failure(why)
        state = self._launcher.poll()
        if not state.alive:
            raise self._job_ended(state)
        self._reconnects += 1
        if self._reconnects > allowed:
            raise Failure(why)
        if self._reconnects == 1:
            until = " until the job has its turn" if self._queues else " with the same id"
            self._messages.say(f"{why}; attaching again{until}")
        self._link.close("attaching again")  # the reflector must release the session before mlogin attaches again
        self._link.replace(self._reconnect())

    def _report(self, state: JobState, elapsed: float) -> None:
        if instructions := self._launcher.instructions():
            self._messages.answer(instructions)
        self._messages.progress(f"waiting for {self._launcher.describe()}: {state.describe()}", elapsed)

    def _wait(self, now: float) -> None:
        wanted = {self._signals.fileno(): select.POLLIN, self._link.fileno(): self._link.events(reading=True)}
        interval = SPINNER_INTERVAL if self._messages.animated else POLL_INTERVAL
        self._poll.wait(wanted, min(self._link.timeout(), self._deadline - now, interval))

    def _take_signals(self) -> None:
        for number in self._signals.take_or_raise():
            if number == signal.SIGTSTP:
                self._messages.progress_done()
                self._terminal.suspend(self._signals, whole_job=False)
                self._link.reset_keepalive()

    def _job_ended(self, state: JobState) -> Failure:
        return self._failure(f"{self._launcher.describe()} {state.describe()} before its agent appeared")

    def _too_late(self, state: JobState, elapsed: float) -> Failure:
        job = f"{self._launcher.describe()}: {state.describe()}"
        return self._failure(f"no agent after {elapsed:.0f} s ({job}); --wait-timeout says how long to wait")

    def _failure(self, text: str) -> Failure:
        return Failure("\n".join([text, *(f"  {line}" for line in self._launcher.log_tail())]))
