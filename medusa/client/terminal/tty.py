"""The user's terminal: finds its size, reads it, sets raw mode, and restores the former modes, however mlogin ends."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from collections.abc import Callable, Mapping, Sequence

from medusa.client.cleanup import tty_modes
from medusa.client.ledger import Ledger
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.stdin import Stdin
from medusa.protocol.terminal import modes

DEFAULT_SIZE = (80, 24)
END_OF_FILE = b"\x04"
"""Control-D, the usual character for the end of input at a terminal.

Only such a character can tell a program on the job's terminal that the input has ended.
"""

LARGEST = 0xFFFF
"""The largest number of columns or lines. struct winsize stores each as an unsigned short."""


_VEOF = 5
"""The opcode (RFC 4254, section 8) of the mode that holds the character for the end of input."""


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


def carried_modes(fd: int = 0, *, shared: bool = False) -> dict[int, int]:
    """Returns the modes of the user's terminal that the job's terminal is to get: opcode (RFC 4254) -> value.

    Returns no modes in these cases, so that the job's terminal keeps its usual ones:
    - `fd` is no terminal. Then mlogin sends Control-D at the end of the input, which works with the usual modes.
    - mlogin is in the background. Then the terminal has the modes of the shell's line editor.
    - The terminal is `shared`, and has the modes of another program, such as a pager or a password prompt.

    Args:
        shared: True if another program of a pipeline may read the same terminal.
    """
    with contextlib.suppress(OSError, termios.error):
        attributes = termios.tcgetattr(fd)
        if tty_modes.in_foreground(fd) and not (shared and not tty_modes.reads_lines(attributes)):
            return modes.from_termios(attributes, os.fpathconf(fd, "PC_VDISABLE"))
    return {}


def end_of_file(carried: Mapping[int, int]) -> bytes:
    """Returns the character that ends the input of a terminal with the modes `carried`; b"" if it is switched off.

    Returns Control-D if the modes do not name the character.
    """
    value = carried.get(_VEOF, ord(END_OF_FILE))
    return bytes([value]) if value < modes.DISABLED else b""


class Terminal:
    """Standard input and its terminal modes. Use it in a `with` block; leaving the block restores the modes.

    If standard input is not a terminal, the methods change no modes, and `suspend` only stops mlogin. In the
    background, mlogin neither reads the terminal nor changes its modes. If mlogin is killed, the guard process restores
    the modes, which are recorded in `ledger`.

    Args:
        shared: True if another program of a pipeline may read the same terminal, as in `mlogin ... | less`. While the
            other program has set modes of its own, mlogin neither reads the terminal nor changes its modes.
        untouched: True if the terminal is to keep its modes. Then this object does not change them.
    """

    def __init__(self, fd: int, ledger: Ledger, *, shared: bool = False, untouched: bool = False) -> None:
        self.fd = fd
        self.is_tty = os.isatty(fd)
        self._ledger = ledger
        self._shared, self._untouched = shared, untouched
        self._stdin: Stdin | None = None
        self._how: Callable[[tty_modes.Modes], tty_modes.Modes] = tty_modes.raw
        self._before: tty_modes.Modes | None = None
        self._now: tty_modes.Modes | None = None
        self._noted = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()
        if self._stdin is not None:
            self._stdin.close()
            self._stdin = None

    @property
    def raw(self) -> bool:
        """True if the terminal is in raw mode."""
        return self._before is not None and self._how is tty_modes.raw

    @property
    def attentive(self) -> bool:
        """True if `make_attentive` has changed the terminal's modes, so that a dot ends a typed line, as Enter does."""
        return self._before is not None and self._how is tty_modes.attentive

    @property
    def asked_by_another(self) -> bool:
        """True if another program of the pipeline has set modes of its own, to read keys or a password."""
        if not self._shared:
            return False
        present = _modes(self.fd)
        return present is not None and not (self.raw or tty_modes.reads_lines(present))

    @property
    def away(self) -> bool:
        """True while mlogin must not read its terminal.

        While this is True, call `make_raw` from time to time, because mlogin may be allowed to read again.
        """
        if not self.is_tty:
            return False
        if self._before is None or self._how is not tty_modes.raw:
            return True
        return self._shared and self._used_by_another()

    @property
    def gone(self) -> bool:
        """True if standard input is a terminal that has been closed."""
        return self.is_tty and _modes(self.fd) is None

    def fileno(self) -> int:
        """Returns the descriptor to poll before `read`."""
        return self._open().fileno()

    def read(self, size: int) -> bytes | None:
        """Returns up to `size` bytes of input. Never blocks.

        Returns b"" at the end of the input, or if the terminal is gone. Returns None if there are no bytes now.
        """
        try:
            return self._open().read(size)
        except OSError:
            if not self.is_tty or _modes(self.fd) is None:
                return b""
            self._forget()  # this process is in the background
            return None

    def make_raw(self) -> bool:
        """Puts the terminal into raw mode, and remembers its former modes for `restore`. Returns True if it did.

        Does nothing if the terminal is in raw mode already, or if mlogin must not use it now.
        """
        return not self.raw and self._change(tty_modes.raw)

    def make_attentive(self) -> bool:
        """Makes a dot end a typed line, as Enter does, so that `~.` is read at once. Returns True if it did.

        Remembers the former modes for `restore`. Does nothing and returns False if mlogin has changed the modes
        already, or must not use the terminal now.
        """
        return self._before is None and self._change(tty_modes.attentive)

    def make_raw_again(self) -> None:
        """Sets the modes of `make_raw` or `make_attentive` again, if mlogin had set them.

        Call this after SIGCONT, because the shell may have set other modes while mlogin was stopped. If mlogin is in
        the background now, this sets no modes, and `restore` will set none, because the shell uses the terminal.
        """
        if self._before is None:
            return
        if not tty_modes.in_foreground(self.fd):
            self._forget()
        else:
            with contextlib.suppress(termios.error):
                tty_modes.apply(self.fd, self._how(self._before))

    def restore(self) -> None:
        """Restores the modes that the terminal had before `make_raw`.

        Changes no modes if the terminal is gone, or if another program uses the terminal now.
        """
        if self._before is None:
            return
        if tty_modes.in_foreground(self.fd) and not self._used_by_another():
            with contextlib.suppress(termios.error):
                tty_modes.restore(self.fd, self._before)
        self._forget()

    def suspend(self, signals: Signals, *, whole_job: bool) -> None:
        """Restores the terminal's former modes, and stops mlogin until SIGCONT. Then sets mlogin's modes again.

        If mlogin has not changed the modes, this only stops mlogin.

        Args:
            signals: mlogin's signals. SIGTSTP has its default action during the stop.
            whole_job: True to stop the whole process group, like Control-Z on a terminal. A script that runs mlogin
                must stop too, otherwise the shell does not get the terminal back.
        """
        were_set = self._before is not None
        self.restore()
        with signals.default(signal.SIGTSTP):
            os.kill(0 if whole_job else os.getpid(), signal.SIGTSTP)
        if were_set:
            self._change(self._how)

    def _open(self) -> Stdin:
        if self._stdin is None:
            self._stdin = Stdin(self.fd)
        return self._stdin

    def _change(self, how: Callable[[tty_modes.Modes], tty_modes.Modes]) -> bool:
        """Sets other modes on the terminal. Returns False if mlogin must not use the terminal now.

        `how`: a function that gets the modes which the terminal had before mlogin changed any, and returns the new
        modes.
        """
        before = self._before or (_modes(self.fd) if self.is_tty and not self._untouched else None)
        if before is None or not tty_modes.in_foreground(self.fd):
            return False
        if self.asked_by_another:
            return False
        try:
            tty_modes.apply(self.fd, how(before))
            noted = tty_modes.record(self.fd, before)
        except termios.error:
            return False
        self._forget()
        self._how, self._before, self._now, self._noted = how, before, _modes(self.fd), noted
        self._ledger.add("tty", noted)
        return True

    def _forget(self) -> None:
        if self._before is not None:
            self._before = None
            self._ledger.remove("tty", self._noted)

    def _used_by_another(self) -> bool:
        return self._shared and self._before is not None and _modes(self.fd) != self._now


def _modes(fd: int) -> tty_modes.Modes | None:
    """Returns the modes of the terminal `fd`. None if it is gone."""
    try:
        return termios.tcgetattr(fd)
    except termios.error:
        return None
