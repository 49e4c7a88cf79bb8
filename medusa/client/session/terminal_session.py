"""Runs a session: passes bytes between the terminal and the link, from the message `start` to the message `exit`."""

from __future__ import annotations

import math
import select
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from medusa.client.outcome import GivenUp, Interrupted
from medusa.client.session import escape
from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.escape import Action
from medusa.client.session.link_errors import MAX_NOTICE, Silence, describe
from medusa.client.session.user_input import UserInput
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.terminal.console import Console
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.tty import window_size
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.control import Control, Error, Exit, Notice, Resize, Start, Started, parse
from medusa.protocol.messages import Binary, Close, Message, Ping, Text
from medusa.protocol.printable import printable
from medusa.transports.base import CLOSE_TIMEOUT
from medusa.transports.link import Link, LinkLost, Loss

HIGH_WATER = 256 * 1024
"""If this many bytes wait to be written to one end (terminal or link), the other end is not read."""

KEYBOARD_HIGH_WATER = 64 * HIGH_WATER
"""If this many typed bytes wait to be sent, a terminal is not read. The limit is larger than HIGH_WATER.

So mlogin still reads the terminal while the link accepts nothing. It must do that to find the escape by which the user
disconnects.
"""

_READ_SIZE = 64 * 1024

_TERMINAL_GONE = "the terminal is gone"

SUSPEND_NOTICE = "suspended; a session that is silent for 45 seconds is lost"


class TerminalSession:
    """A session of the user's terminal with an agent.

    Args:
        link: the link to the reflector, on which Linkup was received: the agent has attached.
        console: the user's terminal, standard output, messages and signals.
        typed: the queue of what the user types, with what was typed before the session.
        info: a function that returns the lines that the escape `~i` (information) shows.
        notices: makes the notices that the job's time will soon be over.
        timeouts: the times of mlogin.
        clock: a function that returns monotonic seconds; it must be the clock that `link` and `notices` use.

    Attributes:
        answered: False if the reflector did not answer mlogin's Close message, so that the link counts as dead.
    """

    def __init__(
        self,
        link: Link,
        console: Console,
        typed: UserInput,
        info: Callable[[], Iterable[str]],
        notices: WalltimeNotices,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._terminal, self._stdout = console.terminal, console.stdout
        self._messages, self._signals = console.messages, console.signals
        self._info = info
        self._notices = notices
        self._timeouts = timeouts
        self._input = typed
        self._clock = clock
        self._silence = Silence(clock(), timeouts)
        self._traffic = (0, 0)
        self._poll = PollSet()
        self._look_at = -math.inf
        self._left_alone = False
        self._resized = False
        self._started = False
        self.answered = True

    def run(self, start: Start) -> Exit:
        """Sends `start` to the agent, then passes bytes until the session ends.

        Returns:
            The agent's Exit message. By then the link is closed and all output is written.

        Raises:
            Failure: the agent could not start the command.
            OutcomeUnknown: the session ended in any other way, so it is unknown how the command ended.
        """
        ended = self._until_it_ends(lambda: self._loop(start))
        assert ended is not None
        if ended.step.drain:
            ended = self._until_it_ends(self._drain) or ended
        return ended.result()

    def _until_it_ends(self, step: Callable[[], None]) -> SessionEnded | None:
        """Calls `step`. If the session ends during the call, closes the link and returns how the session ended.

        Returns None if the session goes on.
        """
        try:
            step()
            return None
        except SessionEnded as error:
            ended = error
        except LinkLost as error:
            ended = SessionEnded(Ending.LINK_LOST, describe(error))
        except Interrupted as error:
            ended = SessionEnded(Ending.INTERRUPTED, str(error))
        if ended.step.close is not None:
            timeout = self._timeouts.disconnect_timeout if ended.step.error is GivenUp else CLOSE_TIMEOUT
            self.answered = self._link.close(ended.step.close, timeout)
        return ended

    def _loop(self, start: Start) -> NoReturn:
        self._link.send_control(start)
        while True:
            self._receive()
            self._link.keep_alive()
            self._do_what_is_due()
            self._send()
            self._write()
            self._wait()

    def _do_what_is_due(self) -> None:
        now = self._clock()
        self._take_terminal(now)
        self._input.repeat_end(now)
        if notice := self._notices.check(now):
            self._messages.error(notice)
        self._check_silence(now)

    def _check_silence(self, now: float) -> None:
        if self._traffic != (traffic := (self._link.sent, self._link.received)):
            self._traffic = traffic
            self._silence.used(now)
        ask, words = self._silence.check(now, self._link.heard)
        if ask and self._link.clear:
            self._link.queue(Ping())
        if words:
            self._messages.error(words)

    # What comes from the link.

    def _receive(self) -> None:
        """Handles all messages that have arrived. Does not use poll: poll cannot see messages in the buffer of TLS."""
        while self._stdout.pending < HIGH_WATER and (message := self._link.receive()) is not None:
            self._handle(message)

    def _handle(self, message: Message) -> None:
        if isinstance(message, Binary):
            self._stdout.put(message.data)
            if message.data:
                self._messages.shown(message.data)
        elif isinstance(message, Close):
            raise LinkLost(Loss.CLOSED, message.reason)
        elif isinstance(message, Text):
            control = parse(message.text)
            if control is not None and (handler := _ON_CONTROL.get(type(control))):
                handler(self, control)

    def _on_started(self, _: Started) -> None:
        self._started = True

    def _on_exit(self, end: Exit) -> None:
        raise SessionEnded(Ending.EXIT, end=end)

    def _on_error(self, error: Error) -> None:
        ending = Ending.AGENT_FAILED if self._started else Ending.NOT_STARTED
        raise SessionEnded(ending, f"the agent says: {printable(error.error, MAX_NOTICE)}")

    def _on_notice(self, notice: Notice) -> None:
        self._messages.error(printable(notice.text, MAX_NOTICE))

    # What goes to the link.

    def _send(self) -> None:
        self._link.flush()
        if self._resized and self._link.clear:
            self._resized = False
            self._link.send_control(Resize(*window_size()))
        while self._input and self._link.clear:
            self._link.send_data(self._input.take(_READ_SIZE))

    def _take_terminal(self, now: float) -> None:
        """Puts the terminal into raw mode, if mlogin was not allowed to read it before and is allowed now.

        mlogin is allowed to read it if mlogin is in the foreground and no other program uses the terminal.
        """
        if self._input.ended or now < self._look_at or not self._terminal.away:
            return
        self._look_at = now + self._timeouts.foreground_interval
        if self._terminal.gone and self._left_alone:
            self._input.end(now)  # a client in the background does not need its terminal
        elif self._terminal.gone:
            raise SessionEnded(Ending.DISCONNECTED, _TERMINAL_GONE)
        elif self._terminal.make_raw():
            self._messages.raw = True
            self._resized = True
        self._left_alone = self._others_use_it()

    def _others_use_it(self) -> bool:
        """Returns True if the terminal is still there, and another program uses it."""
        return self._terminal.away and not self._terminal.gone

    def _read_input(self) -> None:
        data = self._terminal.read(_READ_SIZE)
        if data is None:
            self._messages.raw = self._terminal.raw
        elif data:
            for action in self._input.feed(data):
                _ON_ACTION[action](self)
        elif self._terminal.is_tty:
            raise SessionEnded(Ending.DISCONNECTED, _TERMINAL_GONE)
        else:
            self._input.end(self._clock())

    # Escapes.

    def _disconnect(self) -> None:
        raise SessionEnded(Ending.DISCONNECTED, "disconnected")

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

    # What goes to the user.

    def _write(self) -> None:
        try:
            self._stdout.pump()
        except OSError as error:
            text = f"cannot write to standard output ({error.strerror})"
            raise SessionEnded(Ending.OUTPUT_CLOSED, text) from error

    def _drain(self) -> None:
        """Writes all output that is left, even if its reader is slow. A signal can interrupt this."""
        self._write()
        while self._stdout.pending:
            self._poll.wait({self._stdout.fileno(): select.POLLOUT, self._signals.fileno(): select.POLLIN})
            self._take_signals()
            self._write()

    # Waiting for events.

    def _wait(self) -> None:
        ready = self._poll.wait(self._wanted(), self._timeout())
        if self._signals.fileno() in ready:
            self._take_signals()
        if self._terminal.fileno() in ready:
            self._read_input()

    def _wanted(self) -> dict[int, int]:
        """Returns the descriptors to poll, and for each the events to wait for, as flags of select.poll."""
        limit = KEYBOARD_HIGH_WATER if self._terminal.is_tty else HIGH_WATER
        reads_input = not (self._input.ended or self._terminal.away) and len(self._input) < limit
        return {
            self._signals.fileno(): select.POLLIN,
            self._link.fileno(): self._link.events(reading=self._stdout.pending < HIGH_WATER),
            self._stdout.fileno(): select.POLLOUT if self._stdout.pending else 0,
            self._terminal.fileno(): select.POLLIN if reads_input else 0,
        }

    def _timeout(self) -> float:
        """Returns the seconds until the next keepalive, notice, ping, Control-D or check of the terminal is due."""
        due = (self._link.deadline(), self._notices.deadline, self._input.deadline, self._silence.deadline)
        left = min(due) - self._clock()
        waits = self._terminal.away and not self._input.ended
        return min(left, max(0.0, self._look_at - self._clock())) if waits else left

    def _take_signals(self) -> None:
        for number in self._signals.take_or_raise():
            if handler := _ON_SIGNAL.get(number):
                handler(self)

    def _on_resize(self) -> None:
        self._resized = True

    def _suspend(self, *, whole_job: bool = False) -> None:
        self._messages.say(SUSPEND_NOTICE)
        self._messages.raw = False
        self._terminal.suspend(self._signals, whole_job=whole_job)
        self._resume()

    def _resume(self) -> None:
        self._terminal.make_raw_again()
        self._messages.raw = self._terminal.raw
        self._resized = True
        self._link.reset_keepalive()


_ON_CONTROL: dict[type[Control], Callable[[TerminalSession, Any], None]] = {
    Started: TerminalSession._on_started,
    Exit: TerminalSession._on_exit,
    Error: TerminalSession._on_error,
    Notice: TerminalSession._on_notice,
}
"""The handler of each control message. Control messages of other types are ignored."""

_ON_ACTION: dict[Action, Callable[[TerminalSession], None]] = {
    Action.DISCONNECT: TerminalSession._disconnect,
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
