"""Reads the user's standard input during a session, whenever mlogin may, and finds its end."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Iterable

from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.input.escape import Action
from medusa.client.session.input.user_input import UserInput
from medusa.client.terminal.console import Console
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts

HIGH_WATER = 256 * 1024
"""If this many bytes wait to be sent, a pipe or file is not read."""

TERMINAL_HIGH_WATER = 16 * HIGH_WATER
"""If this many typed bytes wait to be sent, a terminal is not read. The limit is larger than HIGH_WATER.

So mlogin still reads the terminal while the agent's side accepts nothing. It must do that to find the escape by which
the user disconnects.
"""

_READ_SIZE = 64 * 1024

_TERMINAL_GONE = "the terminal is gone"

SUSPEND_NOTICE = "suspended; the reflector ends a session whose mlogin stays silent"

KEPT_NOTICE = "suspended; the session is kept for the time of --keep"


class Keyboard:
    """Reads the user's standard input, and sets the terminal modes that this needs.

    Args:
        console: the user's terminal, messages and signals.
        typed: the queue of what the user types.
        clock: a function that returns monotonic seconds.

    Attributes:
        resized: True if the size of the user's terminal may have changed since this was set to False.
    """

    def __init__(
        self,
        console: Console,
        typed: UserInput,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal, self._messages, self._signals = console.terminal, console.messages, console.signals
        self._input = typed
        self._interval = timeouts.foreground_interval
        self._clock = clock
        self._look_at = -math.inf
        self._left_alone = False
        self._limit = TERMINAL_HIGH_WATER if self._terminal.is_tty else HIGH_WATER
        self.resized = False

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._terminal.fileno()

    def events(self) -> int:
        """Returns the events to poll for, as a mask of select.POLLIN."""
        reads = not (self._input.ended or self._terminal.away) and len(self._input.waiting) < self._limit
        return select.POLLIN if reads else 0

    def deadline(self) -> float:
        """Returns the time at which to call `check` next, in seconds of `clock`."""
        waits = self._terminal.away and not self._input.ended
        return min(self._input.deadline, self._look_at) if waits else self._input.deadline

    def read(self) -> Iterable[Action]:
        """Reads what the user has typed. Yields the actions that the escapes in it ask for.

        What was typed is added to the queue `typed` as you iterate (see UserInput.feed). Act on each action before you
        take the next.

        Raises:
            SessionEnded: the terminal is gone.
        """
        data = self._terminal.read(_READ_SIZE)
        if data is None:
            self._messages.raw = self._terminal.raw
        elif data:
            return self._input.feed(data)
        elif self._terminal.is_tty:
            raise SessionEnded(Ending.HUNG_UP, _TERMINAL_GONE)
        else:
            self._input.end(self._clock())
        return []

    def check(self, now: float) -> None:
        """Does what is due at the time `now`. Call it at the time `deadline`.

        If mlogin has come to the foreground, sets the terminal to raw mode. After the end of the input, sends Control-D
        again from time to time, because the command still runs.

        Raises:
            SessionEnded: the terminal is gone.
        """
        self._take_terminal(now)
        self._input.repeat_end(now)

    def suspend(self, *, whole_job: bool = False, kept: bool = False) -> None:
        """Stops mlogin until SIGCONT. Meanwhile the terminal has its former modes.

        Args:
            whole_job: True to stop the whole process group, with the script that runs mlogin.
            kept: True if the session is kept after its link is lost. This decides what the user is told.
        """
        self._messages.say(KEPT_NOTICE if kept else SUSPEND_NOTICE)
        self._messages.raw = False
        self._terminal.suspend(self._signals, whole_job=whole_job)
        self.resume()

    def resume(self) -> None:
        """Sets the terminal to raw mode again. Call it after SIGCONT."""
        self._terminal.make_raw_again()
        self._messages.raw = self._terminal.raw
        self.resized = True

    def _take_terminal(self, now: float) -> None:
        """Puts the terminal into raw mode, if mlogin was not allowed to read it before and is allowed now.

        mlogin is allowed to read it if mlogin is in the foreground and no other program uses the terminal.
        """
        if self._input.ended or now < self._look_at or not self._terminal.away:
            return
        self._look_at = now + self._interval
        if self._terminal.gone and self._left_alone:
            self._input.end(now)  # a client in the background does not need its terminal
        elif self._terminal.gone:
            raise SessionEnded(Ending.HUNG_UP, _TERMINAL_GONE)
        elif self._terminal.make_raw():
            self._messages.raw = True
            self.resized = True
        self._left_alone = self._others_use_it()

    def _others_use_it(self) -> bool:
        """Returns True if the terminal is still there, and another program uses it."""
        return self._terminal.away and not self._terminal.gone
