"""Makes the standard streams of a program safe to use, even if they are closed, full, or pipes that nobody reads."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any


def open_closed() -> None:
    """Opens /dev/null in place of each standard descriptor that is closed. Call it before anything else is opened.

    Otherwise a socket could get one of the numbers 0, 1 and 2. Then a peer would receive what is written to stdout or
    stderr.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free: `fd`


@contextlib.contextmanager
def checked_streams(program: str) -> Iterator[None]:
    """Context manager that handles writes to stdout and stderr that fail in its `with` block.

    If a write to stdout fails, writes the reason to stderr and ends the program with status 1. Writes no reason if
    nobody reads the pipe any more (EPIPE). If a write to stderr fails, drops the text.

    `program`: the program's name, for the message.
    """
    open_closed()
    if sys.stdout is None:  # it was closed at the start
        _replace(1, os.O_RDONLY)  # each write fails
        sys.stdout = os.fdopen(1, "w", closefd=False)
    stdout = _Checked(sys.stdout)
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(_Forgiving(sys.stderr)):
        try:
            yield
            stdout.flush()
        except _Refused as error:
            if error.errno != errno.EPIPE:
                print(f"{program}: standard output: {error.strerror}", file=sys.stderr)
            raise SystemExit(1) from None


def complain(message: str) -> None:
    """Writes `message` to stderr. If stderr is closed, or takes nothing, writes it to stdout."""
    for name in ("stderr", "stdout"):
        stream = getattr(sys, name)  # None if it was closed when Python started
        try:
            if stream is not None:
                stream.write(message)
                stream.flush()
                return
        except OSError:
            setattr(sys, name, None)  # otherwise Python tries again at its end, and changes the exit status


class _Refused(OSError):
    """Raised if a write to stdout has failed."""


class _Checked:
    """Takes the place of `file`, which is stdout. Raises _Refused if a write fails."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Writes a text. Returns its length."""
        with self._checked():
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Writes the texts that `file` still has in its buffer."""
        with self._checked():
            self._file.flush()

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _replace(1, os.O_WRONLY)  # otherwise Python tries again at its end, and complains
            raise _Refused(error.errno, error.strerror) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Forgiving:
    """Takes the place of `file`, and drops the text if a write fails. `file`: None to drop all texts."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Writes a text, or drops it. Returns its length."""
        try:
            if self._file is not None:
                self._file.write(text)
                self._file.flush()
        except OSError:
            self._file = None
            _replace(2, os.O_WRONLY)
        return len(text)

    def flush(self) -> None:
        """Does nothing: each text is written at once."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _replace(fd: int, flags: int) -> None:
    """Opens /dev/null in place of a descriptor."""
    null = os.open(os.devnull, flags)
    os.dup2(null, fd)
    os.close(null)
