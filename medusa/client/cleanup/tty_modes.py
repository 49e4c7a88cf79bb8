"""Functions that set, record and restore the modes of a terminal. They keep no state.

The class Terminal in medusa/client/terminal/tty.py keeps the state. These functions are in a file of their own to avoid
an import cycle: tty.py imports the ledger, and the ledger imports this file.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import termios
from typing import Any

from medusa import process_table

Modes = list[Any]
"""The modes of a terminal, in the form that termios.tcgetattr returns."""

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)
_LINES = termios.ICANON | termios.ECHO


def in_foreground(fd: int) -> bool:
    """True if this process may read the terminal `fd` and change its modes.

    - If `fd` is this process's controlling terminal: True if this process group is in the foreground.
    - If `fd` is the controlling terminal of other processes only: True if an ancestor of this process is in the
      foreground there, as with `su -c`.
    - In all other cases: True. For example, `fd` is no terminal, or the terminal is gone.
    """
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return _started_in_foreground(fd)


def _started_in_foreground(fd: int) -> bool:
    try:
        users = process_table.controlled_by(os.fstat(fd).st_rdev)
    except OSError:
        return True
    table = {process.pid: process for process in process_table.processes() or ()} if users else {}
    ancestor = table.get(os.getppid())
    while ancestor is not None and users.get(ancestor.pid) != ancestor.group:
        ancestor = table.get(ancestor.parent)
    return not users or ancestor is not None


def raw(modes: Modes) -> Modes:
    """Returns a changed copy of `modes` for raw mode, with the same changes as ssh(1) makes.

    In raw mode the terminal passes on every byte at once and unchanged, in both directions.
    """
    changed = [*modes[:_CC], list(modes[_CC])]
    changed[_IFLAG] |= termios.IGNPAR
    changed[_IFLAG] &= ~(termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL)
    changed[_IFLAG] &= ~(termios.IXON | termios.IXANY | termios.IXOFF | getattr(termios, "IUCLC", 0))
    changed[_LFLAG] &= ~(termios.ISIG | termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK)
    changed[_LFLAG] &= ~(termios.ECHONL | termios.IEXTEN)
    changed[_OFLAG] &= ~termios.OPOST
    changed[_CC][termios.VMIN] = 1
    changed[_CC][termios.VTIME] = 0
    return changed


def attentive(modes: Modes) -> Modes:
    """Returns a copy of `modes` in which a typed dot ends the line, as Enter does.

    So a program receives `~.` at once, without Enter.
    """
    changed = [*modes[:_CC], list(modes[_CC])]
    changed[_CC][termios.VEOL] = b"."
    return changed


def reads_lines(modes: Modes) -> bool:
    """True if the terminal passes on whole lines and shows them as they are typed.

    False if a program reads single keys, as an editor or a pager does, or asks for a password.
    """
    return bool(modes[_LFLAG] & _LINES == _LINES)


def apply(fd: int, modes: Modes) -> None:
    """Waits until pending output is written, then sets the terminal's modes.

    Raises:
        termios.error: the terminal is gone, or this process runs in the background and catches SIGTTOU.
    """
    while True:
        try:
            return termios.tcsetattr(fd, termios.TCSADRAIN, modes)
        except termios.error as error:
            if error.args[0] != errno.EINTR or not in_foreground(fd):
                raise


def restore(fd: int, modes: Modes) -> None:
    """Sets the terminal's modes at once, even if this process runs in the background.

    A process that has changed the modes must be able to restore them at any time.
    """
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        termios.tcsetattr(fd, termios.TCSANOW, modes)
    finally:
        signal.signal(signal.SIGTTOU, before)


def record(fd: int, before: Modes) -> str:
    """Returns a text for `restore_if_unchanged`: the terminal's present modes and the modes to restore.

    `before`: the modes to restore.
    """
    return json.dumps({"fd": fd, "before": _plain(before), "now": _plain(termios.tcgetattr(fd))})


def restore_if_unchanged(text: str) -> None:
    """Restores the old modes of a terminal. Does nothing if another process has changed the modes since `record`.

    The other process may be the shell, which sets its own modes when it gets the terminal back. `text`: what `record`
    returned.
    """
    noted = json.loads(text)
    if _plain(termios.tcgetattr(noted["fd"])) == noted["now"]:
        *flags, characters = noted["before"]
        restore(noted["fd"], [*flags, [c if isinstance(c, int) else c.encode("latin-1") for c in characters]])


def _plain(modes: Modes) -> list[Any]:
    characters = [c if isinstance(c, int) else c.decode("latin-1") for c in modes[_CC]]
    return [*modes[:_CC], characters]
