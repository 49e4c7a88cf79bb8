"""What mlogin says on stderr: advisory text, errors, and a spinner while it waits. Session bytes never pass here."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator

SPINNER = "|/-\\"
CLEAR_LINE = "\r\x1b[K"
CUT = "..."

SPINNER_INTERVAL = 0.1
"""Seconds between two pictures of the spinner."""

PROGRESS_DELAY = 1.0
"""Seconds that a call may take before the user is told what mlogin does."""


class Messages:
    """Lines on stderr. The caller makes text of foreign origin printable.

    For one thread at a time. `waiting` starts a thread of its own, which writes while its caller blocks, and which has
    ended when the block is left.

    Args:
        fd: where to write.
        quiet: leave out everything but errors and answers.
        progress_delay: seconds that a call in `waiting` may take before the user is told of it.

    Attributes:
        raw: the terminal does no output processing; lines need their own carriage returns.
    """

    def __init__(self, fd: int = 2, *, quiet: bool = False, progress_delay: float = PROGRESS_DELAY) -> None:
        self._fd = fd
        self._quiet = quiet
        self._progress_delay = progress_delay
        self._is_tty = os.isatty(fd)
        self._animated = self._is_tty and not quiet
        self._mid_line = False
        self._frames = 0
        self._last = ""
        self.raw = False

    @property
    def animated(self) -> bool:
        """Whether to call `progress` every SPINNER_INTERVAL."""
        return self._animated

    def shown(self, data: bytes) -> None:
        """Call after session bytes went to the same screen: the next message then begins on a line of its own."""
        self._mid_line = self._is_tty and not data.endswith(b"\n")

    def say(self, text: str) -> None:
        """Writes advisory text, unless quiet."""
        if not self._quiet:
            self._write_lines([f"mlogin: {text}"])

    def error(self, text: str) -> None:
        """Writes an error, also if quiet."""
        self._write_lines(f"mlogin: {line}" for line in text.splitlines() or [""])

    def answer(self, lines: Iterable[str]) -> None:
        """Writes what the user has just asked for by an escape, also if quiet."""
        self._write_lines(lines)

    def progress(self, text: str, elapsed: float) -> None:
        """Shows that mlogin still waits: a spinner on a terminal; elsewhere a line if `text` has changed.

        Args:
            elapsed: seconds since the wait began.
        """
        if self._animated:
            self._frames += 1
            minutes, seconds = divmod(int(elapsed), 60)
            wheel, clock = SPINNER[self._frames % len(SPINNER)], f" {minutes}:{seconds:02}"
            self._write(f"{CLEAR_LINE}{wheel} {self._cut(text, 2 + len(clock))}{clock}")
        elif text != self._last:
            self.say(text)
        self._last = text

    def progress_done(self) -> None:
        """Takes the spinner off the screen."""
        if self._animated and self._frames:
            self._write(CLEAR_LINE)
        self._frames = 0

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Shows progress from a thread while the caller's block runs, if that takes long."""
        done = threading.Event()

        def show() -> None:
            begun = time.monotonic()
            interval: float | None = self._progress_delay
            while not done.wait(interval):
                self.progress(text, time.monotonic() - begun)
                interval = SPINNER_INTERVAL if self._animated else None

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.progress_done()

    def _cut(self, text: str, others: int) -> str:
        """`text`, cut to fit on one line beside `others` characters: a line that wraps cannot be taken back."""
        with contextlib.suppress(OSError):
            columns = os.get_terminal_size(self._fd).columns
            room = max(0, columns - 1 - others)
            if columns and len(text) > room:
                return text[: max(0, room - len(CUT))] + CUT[:room]
        return text

    def _write_lines(self, lines: Iterable[str]) -> None:
        self.progress_done()
        newline = "\r\n" if self.raw else "\n"
        self._write(newline * self._mid_line + "".join(line + newline for line in lines))
        self._mid_line = False

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        # If stderr is gone, there is no place left to report that.
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._fd, data) :]
