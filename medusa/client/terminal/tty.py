"""The user's terminal: finds its size, sets raw mode, and restores the former modes, however mlogin ends."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from collections.abc import Mapping, Sequence

from medusa.client.cleanup import tty_modes
from medusa.client.ledger import Ledger
from medusa.client.terminal.signals import Signals

DEFAULT_SIZE = (80, 24)
LARGEST = 0xFFFF
"""The largest number of columns or lines. struct winsize stores each as an unsigned short."""


def window_size(fds: Sequence[int] = (0, 1, 2), environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Returns the size of the user's window as (columns, lines).

    Takes it from the first of `fds` that is a terminal with a size, else from the variables COLUMNS and LINES. If
    those are missing too, the size is 80x24.
    """
    for fd in fds:
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(fd)
            if size.columns > 0 and size.lines > 0:
                return size.columns, size.lines
    return _number(environ, "COLUMNS", DEFAULT_SIZE[0]), _number(environ, "LINES", DEFAULT_SIZE[1])


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    try:
        value = int(environ.get(name, ""))
    except ValueError:
        return default
    return value if 0 < value <= LARGEST else default


class Terminal:
    """Standard input and its terminal modes. Use it in a `with` block; leaving the block restores the modes.

    If standard input is not a terminal, the methods change no modes, and only `suspend` does anything: it stops
    mlogin. If mlogin is killed, the guard process restores the modes, which are recorded in `ledger`.
    """

    def __init__(self, fd: int, ledger: Ledger) -> None:
        self.fd = fd
        self.is_tty = os.isatty(fd)
        self._ledger = ledger
        self._before: tty_modes.Modes | None = None
        self._noted = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()

    @property
    def raw(self) -> bool:
        """True if the terminal is in raw mode."""
        return self._before is not None

    def make_raw(self) -> None:
        """Puts the terminal into raw mode, and remembers its former modes for `restore`."""
        if not self.is_tty or self.raw:
            return
        before = termios.tcgetattr(self.fd)
        self._before = before
        tty_modes.apply(self.fd, tty_modes.raw(before))
        self._noted = tty_modes.record(self.fd, before)
        self._ledger.add("tty", self._noted)

    def make_raw_again(self) -> None:
        """Sets raw mode again if it was set. Call this after SIGCONT: the shell may have set other modes meanwhile."""
        if self._before is not None:
            tty_modes.apply(self.fd, tty_modes.raw(self._before))

    def restore(self) -> None:
        """Restores the modes that the terminal had before `make_raw`. Does nothing if the terminal is gone."""
        if self._before is None:
            return
        before, self._before = self._before, None
        with contextlib.suppress(termios.error):
            tty_modes.restore(self.fd, before)
        self._ledger.remove("tty", self._noted)

    def suspend(self, signals: Signals, *, whole_job: bool) -> None:
        """Restores the terminal's modes, stops mlogin until SIGCONT, and then sets raw mode again if it was set.

        Args:
            signals: mlogin's signals. SIGTSTP has its default action during the stop.
            whole_job: True to stop the whole process group, like Control-Z on a terminal. A script that runs mlogin
                must stop too, otherwise the shell does not get the terminal back.
        """
        was_raw = self.raw
        self.restore()
        with signals.default(signal.SIGTSTP):
            os.kill(0 if whole_job else os.getpid(), signal.SIGTSTP)
        if was_raw:
            self.make_raw()
