"""The user's terminal: its size, raw mode, and the modes from before, restored on every way out."""

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
"""struct winsize holds unsigned shorts."""


def window_size(fds: Sequence[int] = (0, 1, 2), environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(columns, lines) of the first of `fds` that is a terminal with a size, else COLUMNS and LINES, else 80x24."""
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
    """Standard input. If it is no terminal, no method changes anything but `suspend`, which still stops mlogin.

    Leaving the context restores the modes; if this process is killed, the guard does, by what `ledger` says.
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
        """Whether the terminal is in raw mode."""
        return self._before is not None

    def make_raw(self) -> None:
        """Sets raw mode; `restore` sets the modes that were found."""
        if not self.is_tty or self.raw:
            return
        before = termios.tcgetattr(self.fd)
        self._before = before
        tty_modes.apply(self.fd, tty_modes.raw(before))
        self._noted = tty_modes.record(self.fd, before)
        self._ledger.add("tty", self._noted)

    def make_raw_again(self) -> None:
        """Call after SIGCONT: while mlogin was stopped, a shell may have set modes of its own."""
        if self._before is not None:
            tty_modes.apply(self.fd, tty_modes.raw(self._before))

    def restore(self) -> None:
        """Sets the modes from before `make_raw`. Does nothing if the terminal is gone."""
        if self._before is None:
            return
        before, self._before = self._before, None
        with contextlib.suppress(termios.error):
            tty_modes.restore(self.fd, before)
        self._ledger.remove("tty", self._noted)

    def suspend(self, signals: Signals, *, whole_job: bool) -> None:
        """Restores the modes, stops mlogin until SIGCONT, and sets raw mode again if it was set.

        Args:
            whole_job: stop the process group, as the terminal's own Control-Z does: a script or make that runs mlogin
                must stop too, otherwise the shell does not get the terminal back.
        """
        was_raw = self.raw
        self.restore()
        with signals.default(signal.SIGTSTP):
            os.kill(0 if whole_job else os.getpid(), signal.SIGTSTP)
        if was_raw:
            self.make_raw()
