"""From the attach to the linkup: the client is there first, the agent comes when the job system lets it."""

from __future__ import annotations

import select
import signal
from collections.abc import Callable
from dataclasses import dataclass

from medusa.client.launchers.base import JobState, Launcher
from medusa.client.outcome import Failure
from medusa.client.session.link_errors import describe, describe_close
from medusa.client.terminal.messages import TURN, Messages
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import Terminal
from medusa.protocol import control
from medusa.protocol.messages import Close, Text
from medusa.session import GOING_AWAY
from medusa.transports.base import Transport
from medusa.transports.link import Link, LinkLost

AGAIN = 5
"""Times that a link is replaced where the job does not queue: what breaks each one is not a reflector that was lost."""

LOOK = 1.0
"""Seconds between two looks at the job where nothing spins."""


@dataclass
class WaitForAgent:
    """One wait; `clock` in seconds, monotonic; `deadline` by that clock, or None.

    Attributes:
        reconnect: makes a new link in place of one that ended. None where that end is the end. Raises Failure.
        queues: the job may outlast a reflector's patience: also a link that was closed in words is followed by another.
            Otherwise only one that broke is, or one whose reflector stopped.
    """

    link: Link
    launcher: Launcher
    messages: Messages
    signals: Signals
    terminal: Terminal
    clock: Callable[[], float]
    deadline: float | None = None
    reconnect: Callable[[], Transport] | None = None
    queues: bool = True
    _again_count: int = 0
    _killed: bool = False

    def run(self) -> None:
        """Returns at linkup.

        Raises:
            Failure: the job or the link ended, or the deadline passed.
            Interrupted: a signal asked for the end.
        """
        begun = self.clock()
        try:
            while not self._linked():
                state = self.launcher.poll()
                if not state.alive:
                    # Its agent may have attached before that: the link knows.
                    if self._linked():
                        return
                    raise self._job_ended(state)
                now = self.clock()
                if self.deadline is not None and now >= self.deadline:
                    raise self._too_late(state, now - begun)
                if instructions := self.launcher.instructions():
                    self.messages.answer(instructions)
                self.messages.progress(f"waiting for {self.launcher.describe()}: {state.words}", now - begun)
                self._pause(now)
                self._signals()
        finally:
            self.messages.progress_done()

    def _linked(self) -> bool:
        """Reads what is there; whether linkup came. What follows it belongs to the session and stays unread."""
        try:
            self.link.flush()
            while (message := self.link.receive()) is not None:
                if isinstance(message, Close):
                    if self._killed or not (self.queues or message.code == GOING_AWAY):
                        raise Failure(describe_close(message))
                    self._again(describe_close(message))
                    return False
                said = control.parse(message.text) if isinstance(message, Text) else None
                if isinstance(said, control.Linkup):
                    return True
                if isinstance(said, control.Wait) and said.outcome == control.KILLED:
                    self._killed = True
            self.link.keep_alive()
        except LinkLost as error:
            self._again(describe(error))
        return False

    def _again(self, why: str) -> None:
        if self.reconnect is None:
            raise Failure(why)
        state = self.launcher.poll()
        if not state.alive:
            raise self._job_ended(state)
        self._again_count += 1
        if self._again_count > AGAIN and not self.queues:
            raise Failure(why)
        if self._again_count == 1:
            until = " until the job has its turn" if self.queues else " with the same id"
            self.messages.say(f"{why}; attaching again{until}")
        self.link.close("attaching again")  # the id is free only then
        self.link.replace(self.reconnect())

    def _pause(self, now: float) -> None:
        poller = select.poll()
        poller.register(self.signals, select.POLLIN)
        poller.register(self.link, self.link.events(reading=True))
        left = LOOK if self.deadline is None else self.deadline - now
        poller.poll(min(self.link.timeout(), left, TURN if self.messages.animated else LOOK) * 1000)

    def _signals(self) -> None:
        for signum in self.signals.take_or_raise():
            if signum == signal.SIGTSTP:
                self.messages.progress_done()
                self.terminal.suspend(self.signals, whole_job=False)
                self.link.reset_keepalive()

    def _job_ended(self, state: JobState) -> Failure:
        return self._failure(f"{self.launcher.describe()} {state.words} before its agent appeared")

    def _too_late(self, state: JobState, elapsed: float) -> Failure:
        job = f"{self.launcher.describe()}: {state.words}"
        return self._failure(f"no agent after {elapsed:.0f} s ({job}); --wait-timeout says how long to wait")

    def _failure(self, what: str) -> Failure:
        return Failure("\n".join([what, *(f"  {line}" for line in self.launcher.log_tail())]))
