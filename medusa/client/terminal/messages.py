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

TURN = 0.1
"""Seconds between two turns of the spinner."""

PROGRESS_DELAY = 1.0
"""Seconds that a call may take without a word about it."""


class Messages:
    """The voice of mlogin. Text of foreign origin must have been made printable by the caller.

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
        self._turns = 0
        self._last = ""
        self.raw = False

    @property
    def animated(self) -> bool:
        """Whether progress() wants to be called several times a second."""
        return self._animated

    def shown(self, data: bytes) -> None:
        """Session bytes went to the same screen: what is said next begins a line of its own."""
        self._mid_line = self._is_tty and not data.endswith(b"\n")

    def say(self, text: str) -> None:
        """Advisory text; silent with -q."""
        if not self._quiet:
            self._lines([f"mlogin: {text}"])

    def error(self, text: str) -> None:
        """An error; never silent."""
        self._lines(f"mlogin: {line}" for line in text.splitlines() or [""])

    def answer(self, lines: Iterable[str]) -> None:
        """What the user has just asked for with an escape; never silent."""
        self._lines(lines)

    def progress(self, text: str, elapsed: float) -> None:
        """Still waiting: a spinner on a terminal; elsewhere a line whenever `text` changes."""
        if self._animated:
            self._turns += 1
            minutes, seconds = divmod(int(elapsed), 60)
            wheel, time = SPINNER[self._turns % len(SPINNER)], f" {minutes}:{seconds:02}"
            self._write(f"{CLEAR_LINE}{wheel} {self._cut(text, 2 + len(time))}{time}")
        elif text != self._last:
            self.say(text)
        self._last = text

    def progress_done(self) -> None:
        """Takes the spinner off the screen."""
        if self._animated and self._turns:
            self._write(CLEAR_LINE)
        self._turns = 0

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """progress() by itself, around a call that blocks."""
        done = threading.Event()

        def tell() -> None:
            begun = time.monotonic()
            pause: float | None = self._progress_delay
            while not done.wait(pause):
                self.progress(text, time.monotonic() - begun)
                pause = TURN if self._animated else None

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()
            self.progress_done()

    def _cut(self, text: str, besides: int) -> str:
        """What of it stands on one line with `besides` other characters: a line that wraps cannot be taken back."""
        with contextlib.suppress(OSError):
            columns = os.get_terminal_size(self._fd).columns
            room = max(0, columns - 1 - besides)
            if columns and len(text) > room:
                return text[: max(0, room - len(CUT))] + CUT[:room]
        return text

    def _lines(self, lines: Iterable[str]) -> None:
        self.progress_done()
        newline = "\r\n" if self.raw else "\n"
        self._write(newline * self._mid_line + "".join(line + newline for line in lines))
        self._mid_line = False

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        # Nobody is left to tell when stderr is gone.
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._fd, data) :]
