"""Runs a session: passes bytes between the user's terminal and the agent's side, until the command has ended."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from medusa.client.outcome import Detached, GivenUp
from medusa.client.session.detaching.leaving import NOT_KEPT, Leaving
from medusa.client.session.ending import Ending, SessionEnded, ended_by
from medusa.client.session.input import escape
from medusa.client.session.input.escape import Action
from medusa.client.session.input.keyboard import Keyboard
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.link_errors import describe
from medusa.client.session.remote.base import Remote
from medusa.client.session.screen import Screen
from medusa.client.session.silence import Silence, SilenceWatch
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.streams.pace import Pace
from medusa.client.terminal.console import Console
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.tty import window_size
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.control import Exit
from medusa.transports.base import CLOSE_TIMEOUT
from medusa.transports.link import LinkLost


class TerminalSession:
    """Runs a session between the user's terminal and an agent.

    Args:
        remote: the agent's side. The session keeps its link alive.
        console: the user's terminal, standard output, messages and signals.
        typed: the queue of what the user types. It already holds what was typed before the session.
        info: a function that returns the lines that the escape `~i` (information) shows.
        notices: makes the notices that the job's time will soon be over.
        timeouts: the times of mlogin.
        clock: a function that returns monotonic seconds; it must be the clock that the link and `notices` use.

    Attributes:
        leaving: how the user may leave the session without ending it. Set it before `run`; by default the user cannot.
        answered: False if the reflector did not answer mlogin's Close message, so that the link counts as dead.
    """

    def __init__(
        self,
        remote: Remote,
        console: Console,
        typed: UserInput,
        info: Callable[[], Iterable[str]],
        notices: WalltimeNotices,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._remote = remote.link, remote
        self._stdout, self._messages, self._signals = console.stdout, console.messages, console.signals
        self._screen = Screen(console, self._interrupts, clock)
        self._keyboard = Keyboard(console, typed, timeouts, clock)
        self._input = typed
        self._signals_fd, self._keyboard_fd = console.signals.fileno(), self._keyboard.fileno()
        self._info = info
        self._notices = notices
        self._timeouts = timeouts
        self._clock = clock
        self._silence = SilenceWatch(remote.link, Silence(clock(), timeouts), console.messages.error)
        self._poll, self._pace = PollSet(), Pace()
        self._readable, self._happened = True, False
        self.answered = True
        self.leaving = Leaving(refusal=NOT_KEPT)

    def run(self) -> Exit:
        """Begins the session, then passes bytes until it ends.

        Returns:
            The agent's Exit message. By then the link is closed and all output is written.

        Raises:
            Failure: the agent could not start the command.
            OutcomeUnknown: the session ended in any other way, so it is unknown how the command ended.
        """
        ended = self._until_it_ends(self._loop)
        assert ended is not None
        if ended.step.drain:
            ended = self._until_it_ends(self._drain) or ended
        return ended.result()

    def _until_it_ends(self, step: Callable[[], None]) -> SessionEnded | None:
        """Calls `step`. If the session ends during the call, closes the link and returns how the session ended.

        Returns None if the session goes on.
        """
        ended = ended_by(step, lambda lost: SessionEnded(Ending.LINK_LOST, describe(lost)))
        if ended is None:
            return None
        ended = self.leaving.at_end(ended, self._remote, self._input)
        if ended.step.drain:
            self._screen.show(self._remote.rest())
        if ended.step.close is not None:
            timeout = self._timeouts.disconnect_timeout if ended.step.error in (GivenUp, Detached) else CLOSE_TIMEOUT
            self.answered = self._remote.close(ended.step.close, timeout)
        return ended

    def _loop(self) -> NoReturn:
        step = self._remote.begin
        while True:
            try:
                step()
            except LinkLost as lost:
                self._remote.lost(lost)
                self._silence.restart(self._clock())
                self._pace.soon()
            step = self._round

    def _round(self) -> None:
        if self._readable:
            self._receive()
        now = self._clock()
        if self._pace.due(now, self._happened):
            self._check(now)
        self._send()
        if self._stdout.pending:
            self._screen.write()
        self._wait()

    def _check(self, now: float) -> None:
        """Does what is due at the time `now`, such as a keepalive, a notice, or a check of the terminal."""
        self._remote.keep_alive()
        self.leaving.check(self._remote)
        self._keyboard.check(now)
        if notice := self._notices.check(now):
            self._messages.error(notice)
        due = [self._notices.deadline, self._remote.deadline(), self._keyboard.deadline()]
        if not self._remote.parted:
            self._silence.check(now, waits=self._remote.waits, lasting=self._remote.lasting)
            due.append(self._silence.deadline)
        self._pace.checked(min(due))

    # From the agent's side to the user.

    def _receive(self) -> None:
        """Takes the output that has arrived, and adds it to the queue for the user's terminal."""
        while True:
            remote = self._remote
            if data := remote.receive(self._screen.room(remote.high_water)):
                self._screen.show(data)
            self._remote = remote.settled()
            if self._remote is not remote:
                self._pace.soon()
            elif not data or not (self._link.unread or remote.more):
                return

    def _drain(self) -> None:
        """Writes all output that is left, even if its reader is slow. A signal can interrupt this."""
        self._screen.write()
        while self._stdout.pending:
            self._poll.wait({self._stdout.fileno(): select.POLLOUT, self._signals.fileno(): select.POLLIN})
            self._take_signals()
            self._screen.write()

    # From the user to the agent's side.

    def _send(self) -> None:
        if self._keyboard.resized and self._remote.resize(*window_size()):
            self._keyboard.resized = False
        while self._input.waiting and (room := self._remote.room):
            self._remote.send(self._input.take(room))
            self._remote = self._remote.settled()
        self._remote.flush()

    # Escapes.

    def _disconnect(self) -> None:
        raise SessionEnded(Ending.DISCONNECTED, "disconnected")

    def _detach(self) -> None:
        if refusal := self.leaving.refusal(self._remote):
            self._messages.answer([f"not detached: {refusal}"])
        else:
            raise SessionEnded(Ending.DETACHED)

    def _show_help(self) -> None:
        assert self._input.character is not None
        self._messages.answer(escape.help_text(self._input.character))

    def _show_info(self) -> None:
        self._messages.answer(self._info())

    def _suspend_job(self) -> None:
        if self._signals.job_control:
            self._suspend(whole_job=True)
        else:
            self._messages.answer(["not suspended: there is no job control to come back by"])

    # Waiting for events.

    def _wait(self) -> None:
        remote, more = self._remote, self._remote.more
        room = self._screen.room(remote.high_water)
        waits = not more or room <= 0
        due = min(self._pace.at, remote.flush_at())
        ready = self._poll.wait(self._wanted(room), due - self._clock() if waits else 0.0)
        self._happened = bool(ready) or not waits
        self._readable = more or self._link.fileno() in ready or self._link.unread or remote.parted
        remote.step(ready)
        if self._signals_fd in ready:
            self._pace.soon()
            self._take_signals()
        if self._keyboard_fd in ready:
            for action in self._keyboard.read():
                _ON_ACTION[action](self)

    def _wanted(self, room: int) -> dict[int, int]:
        """Returns the descriptors to poll, and for each the events to wait for, as flags of select.poll."""
        # A new dict: the work that dials a new link keeps its dict, and every descriptor in it counts as its own.
        wanted = {**self._remote.wanted(room), **self._interrupts()}
        if self._stdout.pending:
            wanted[self._stdout.fileno()] = select.POLLOUT
        return wanted

    def _interrupts(self) -> dict[int, int]:
        """Returns what the user may do: descriptor -> events to wait for."""
        return {self._signals_fd: select.POLLIN, self._keyboard_fd: self._keyboard.events()}

    def _take_signals(self) -> None:
        for number in self._signals.take_or_raise():
            if handler := _ON_SIGNAL.get(number):
                handler(self)

    def _on_resize(self) -> None:
        self._keyboard.resized = True

    def _suspend(self, *, whole_job: bool = False) -> None:
        self._keyboard.suspend(whole_job=whole_job, kept=self._remote.lasting)
        self._link.reset_keepalive()

    def _resume(self) -> None:
        self._keyboard.resume()
        self._link.reset_keepalive()


_ON_ACTION: dict[Action, Callable[[TerminalSession], None]] = {
    Action.DISCONNECT: TerminalSession._disconnect,
    Action.DETACH: TerminalSession._detach,
    Action.SUSPEND: TerminalSession._suspend_job,
    Action.HELP: TerminalSession._show_help,
    Action.INFO: TerminalSession._show_info,
}
"""The handler of each escape."""

_ON_SIGNAL: dict[int, Callable[[TerminalSession], None]] = {
    signal.SIGWINCH: TerminalSession._on_resize,
    signal.SIGTSTP: TerminalSession._suspend,
    signal.SIGCONT: TerminalSession._resume,
}
"""The handler of each signal. Signals that end mlogin have none: they raise Interrupted."""
