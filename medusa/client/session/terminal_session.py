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
from medusa.client.session.silence import Silence, SilenceWatch
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.terminal.console import Console
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.tty import window_size
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.control import Exit
from medusa.transports.base import CLOSE_TIMEOUT
from medusa.transports.link import LinkLost

LOW_WATER = 8 * 1024
"""If more bytes than this wait for the user's terminal, they are written before more output is received."""

WRITE_TIMEOUT = 0.01
"""Seconds. After writing for so long, the session turns to the agent's side, even if more than LOW_WATER bytes wait."""

SWIFT_WATER = 192 * 1024
"""Bytes that may wait for a swift terminal: the fewer rounds of the loop, the cheaper is its output.

For other terminals the agent's side sets the limit. What waits is still shown after Control-C.
"""

SWIFT_WRITE = 64 * 1024
"""Bytes. A terminal is swift if it has taken so many within WRITE_TIMEOUT, or all that waited but LOW_WATER."""


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
        self._keyboard = Keyboard(console, typed, timeouts, clock)
        self._input = typed
        self._info = info
        self._notices = notices
        self._timeouts = timeouts
        self._clock = clock
        self._silence = SilenceWatch(remote.link, Silence(clock(), timeouts), console.messages.error)
        self._poll, self._output_poll = PollSet(), PollSet()
        self._readable, self._swift = True, False
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
            self._show(self._remote.rest())
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
            step = self._round

    def _round(self) -> None:
        self._receive()
        self._remote.keep_alive()
        self._do_what_is_due()
        self._send()
        self._write()
        self._wait()

    def _do_what_is_due(self) -> None:
        now = self._clock()
        self.leaving.check(self._remote)
        self._keyboard.check(now)
        if notice := self._notices.check(now):
            self._messages.error(notice)
        if not self._remote.parted:
            self._silence.check(now, waits=self._remote.waits, lasting=self._remote.lasting)

    # From the agent's side to the user.

    def _room(self) -> int:
        """Returns how many more bytes of output to take now; 0 or less for none."""
        limit = self._remote.high_water
        return (max(limit, SWIFT_WATER) if self._swift else limit) - self._stdout.pending

    def _receive(self) -> None:
        """Takes the output that has arrived, and adds it to the queue for the user's terminal."""
        if not (self._readable or self._link.unread or self._remote.more):
            return
        while (data := self._remote.receive(self._room())) or self._remote.settled() is not self._remote:
            self._show(data)
            self._remote = self._remote.settled()

    def _show(self, data: bytes) -> None:
        if data:
            self._stdout.put(data)
            self._messages.shown(data)

    def _write(self) -> None:
        """Writes the queue of output to the user's terminal, in many small writes, until it is almost empty.

        Stops sooner if the user does something, or after WRITE_TIMEOUT. It writes many times in one round of the
        session's loop, because a terminal accepts only a few KiB at a time.
        """
        if not self._stdout.pending:
            return
        over, alone = self._clock() + WRITE_TIMEOUT, {self._stdout.fileno()}
        before = self._stdout.pending
        more = {self._keyboard.fileno(): self._keyboard.events(), self._signals.fileno(): select.POLLIN}
        self._output_poll.watch({self._stdout.fileno(): select.POLLOUT, **more})

        def again() -> bool:
            left = over - self._clock()
            return self._stdout.pending > LOW_WATER and left > 0 and self._output_poll.ready(left).keys() == alone

        try:
            self._stdout.pump(again)
        except OSError as error:
            text = f"cannot write to standard output ({error.strerror})"
            raise SessionEnded(Ending.OUTPUT_CLOSED, text) from error
        written = before - self._stdout.pending
        self._swift = self._stdout.pending <= LOW_WATER or written >= SWIFT_WRITE

    def _drain(self) -> None:
        """Writes all output that is left, even if its reader is slow. A signal can interrupt this."""
        self._write()
        while self._stdout.pending:
            self._poll.wait({self._stdout.fileno(): select.POLLOUT, self._signals.fileno(): select.POLLIN})
            self._take_signals()
            self._write()

    # From the user to the agent's side.

    def _send(self) -> None:
        self._remote.flush()
        if self._keyboard.resized and self._remote.resize(*window_size()):
            self._keyboard.resized = False
        while self._input and (room := self._remote.room):
            self._remote.send(self._input.take(room))
            self._remote = self._remote.settled()

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
        ready = self._poll.wait(self._wanted(), self._timeout())
        self._readable = self._remote.parted or self._link.fileno() in ready
        self._remote.step(ready)
        if self._signals.fileno() in ready:
            self._take_signals()
        if self._keyboard.fileno() in ready:
            for action in self._keyboard.read():
                _ON_ACTION[action](self)

    def _wanted(self) -> dict[int, int]:
        """Returns the descriptors to poll, and for each the events to wait for, as flags of select.poll."""
        return {
            self._signals.fileno(): select.POLLIN,
            **self._remote.wanted(self._room()),
            self._stdout.fileno(): select.POLLOUT if self._stdout.pending else 0,
            self._keyboard.fileno(): self._keyboard.events(),
        }

    def _timeout(self) -> float:
        """Returns the seconds until something is due, such as a keepalive, a notice, or a check of the terminal."""
        if self._remote.more and self._room() > 0:
            return 0.0
        due = [self._notices.deadline, self._remote.deadline(), self._keyboard.deadline()]
        if not self._remote.parted:
            due.append(self._silence.deadline)
        return min(due) - self._clock()

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
