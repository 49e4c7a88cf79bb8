"""Modes of a terminal: raw, and back. Functions of a file descriptor; medusa/client/terminal/tty.py holds the state.

Apart from that file because the ledger needs these functions, and that file needs the ledger.
"""

from __future__ import annotations

import errno
import json
import signal
import termios
from typing import Any

Modes = list[Any]
"""What termios.tcgetattr returns."""

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)


def raw(modes: Modes) -> Modes:
    """`modes` changed as ssh(1) changes them: every byte passes at once and unchanged, both ways."""
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


def apply(fd: int, modes: Modes) -> None:
    """Sets `modes` after pending output is written. In a background job this stops the process (SIGTTOU)."""
    while True:
        try:
            return termios.tcsetattr(fd, termios.TCSADRAIN, modes)
        except termios.error as error:
            if error.args[0] != errno.EINTR:
                raise


def restore(fd: int, modes: Modes) -> None:
    """Sets `modes` at once, even in a background job: the process that changed the modes must restore them."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        termios.tcsetattr(fd, termios.TCSANOW, modes)
    finally:
        signal.signal(signal.SIGTTOU, before)


def record(fd: int, before: Modes) -> str:
    """Text for `restore_if_unchanged`: the modes that are set now, and those to restore."""
    return json.dumps({"fd": fd, "before": _plain(before), "now": _plain(termios.tcgetattr(fd))})


def restore_if_unchanged(text: str) -> None:
    """Restores the modes, unless another process has set others since: a shell may have its terminal back already."""
    noted = json.loads(text)
    if _plain(termios.tcgetattr(noted["fd"])) == noted["now"]:
        *flags, characters = noted["before"]
        restore(noted["fd"], [*flags, [c if isinstance(c, int) else c.encode("latin-1") for c in characters]])


def _plain(modes: Modes) -> list[Any]:
    characters = [c if isinstance(c, int) else c.decode("latin-1") for c in modes[_CC]]
    return [*modes[:_CC], characters]
