"""Writes mlogin's own words to stderr: advisory text, errors, and a spinner while mlogin waits.

The bytes of the session never go through this module.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from medusa.client.cleanup.tty_modes import in_foreground, reads_lines
from medusa.client.terminal.signals import unstopped

SPINNER = "|/-\\"
CLEAR_LINE = "\r\x1b[K"
CUT = "..."

SPINNER_INTERVAL = 0.1
"""Seconds between two frames of the spinner."""

WRITE_TIMEOUT = 1.0
"""Seconds to wait if stderr accepts no bytes, because the pipe or terminal is full. After this time the text is lost.

The limit has an effect only if another program has set O_NONBLOCK on stderr. Otherwise the write itself waits, for as
long as stderr accepts no bytes.
"""

BACKGROUND_INTERVAL = 1.0
"""Seconds between two checks, while mlogin is in the background, whether it may show a spinner again."""

PROGRESS_DELAY = 1.0
"""Seconds that a blocking call may take before the user is told what mlogin waits for."""


DUMB = ("", "dumb", "emacs", "network", "unknown")
"""Values of TERM for terminals that know no escape sequences."""


def is_dumb(environ: Mapping[str, str] = os.environ) -> bool:
    """True if the variable TERM in `environ` is empty or missing, or names a terminal without escape sequences."""
    return environ.get("TERM", "") in DUMB or environ["TERM"].startswith("dumb-")


class Messages:
    """Writes mlogin's own lines to stderr.

    If a text comes from another program, the caller must escape its unprintable characters. Only one thread may use
    this object at a time. In the `with` block of `waiting` a helper thread uses it, so the caller must not use it
    there.

    Args:
        fd: the descriptor to write to.
        quiet: True to write only errors and answers.
        dumb: True if the terminal knows no escape sequences. Then there is no spinner.
        prog: the program that the lines name.
        progress_delay: seconds that the block of `waiting` may take before the user is told what mlogin waits for.

    Attributes:
        raw: True if the terminal is in raw mode, so that each line must end with a carriage return and a newline.
    """

    def __init__(
        self,
        fd: int = 2,
        *,
        quiet: bool = False,
        dumb: bool = False,
        prog: str = "mlogin",
        progress_delay: float = PROGRESS_DELAY,
    ) -> None:
        self._fd = fd
        self._quiet = quiet
        self._prog = prog
        self._progress_delay = progress_delay
        self._is_tty = os.isatty(fd)
        self._can_animate = self._is_tty and not quiet and not dumb
        self._dumb = dumb
        self._redrawn = False
        self._mid_line = False
        self._frames = 0
        self._last = ""
        self.raw = False
        self._held = False

    @property
    def animated(self) -> bool:
        """True if there is a spinner, so that `progress` must be called every SPINNER_INTERVAL seconds.

        There is no spinner while another program uses the terminal, because the spinner would overwrite what the other
        program shows. That is so while mlogin is in the background, or while a program such as `less`, in the same
        pipeline, reads keys.
        """
        if not self._can_animate or not in_foreground(self._fd):
            return False
        try:
            return reads_lines(termios.tcgetattr(self._fd))
        except termios.error:
            return False

    def shown(self, data: bytes) -> None:
        """Notes whether `data` ends with a newline. If not, the next message will begin on a new line.

        Call this after `data`, bytes of the session, was written to the terminal.
        """
        self._mid_line = self._is_tty and not data.endswith(b"\n")

    def say(self, text: str) -> None:
        """Writes a line of advisory text. Does nothing if `quiet` was set."""
        if not self._quiet:
            self._write_lines([f"{self._prog}: {text}"])

    def error(self, text: str) -> None:
        """Writes the lines of an error, even if `quiet` was set."""
        self._write_lines(f"{self._prog}: {line}" for line in text.splitlines() or [""])

    def answer(self, lines: Iterable[str]) -> None:
        """Writes lines that the user asked for by an escape such as `~?`, even if `quiet` was set."""
        self._write_lines(lines)

    def progress(self, text: str, elapsed: float) -> None:
        """Shows that mlogin still waits: by a spinner on a terminal, else by a line each time that `text` changes.

        Args:
            text: what mlogin waits for.
            elapsed: seconds since the wait began.
        """
        if self._held:
            return
        if self.animated:
            self._frames += 1
            minutes, seconds = divmod(int(elapsed), 60)
            wheel, clock = SPINNER[self._frames % len(SPINNER)], f" {minutes}:{seconds:02}"
            self._write(f"{CLEAR_LINE}{wheel} {self._cut(text, 2 + len(clock))}{clock}")
        elif text != self._last:
            self.say(text)
        self._last = text

    def progress_done(self) -> None:
        """Removes the spinner, or the line that `redraw` has shown, from the screen."""
        if self._redrawn or (self._frames and self.animated):
            self._write(CLEAR_LINE)
        self._frames = 0
        self._redrawn = False

    def redraw(self, text: str) -> bool:
        """Shows a line in the place of the line that the last call has shown. Any other text of mlogin removes it.

        Returns False, and shows nothing, if stderr is no terminal, if the terminal knows no escape sequences, or if
        mlogin is in the background.
        """
        if not self._is_tty or self._dumb or not in_foreground(self._fd):
            return False
        newline = "" if self._redrawn or not self._mid_line else "\r\n" if self.raw else "\n"
        line = f"{self._prog}: {text}"
        self._write(f"{newline}{CLEAR_LINE}{self._cut(line, 0)}")
        self._redrawn, self._mid_line = True, False
        return True

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Context manager: if its `with` block takes long, a helper thread shows `text` and a spinner meanwhile."""
        done = threading.Event()

        def show() -> None:
            begun = time.monotonic()
            interval: float | None = self._progress_delay
            while not done.wait(interval):
                self.progress(text, time.monotonic() - begun)
                interval = SPINNER_INTERVAL if self.animated else BACKGROUND_INTERVAL if self._can_animate else None

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.progress_done()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Context manager for a question to the user: in its `with` block, `progress` shows nothing."""
        self._held = True
        try:
            self.progress_done()
            yield
        finally:
            self._held = False

    def _cut(self, text: str, others: int) -> str:
        """Returns `text`, shortened so that it and `others` more characters fit on one line of the terminal.

        A longer line would wrap, and CLEAR_LINE could not remove all of it.
        """
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
        # If stderr cannot be written to, there is nowhere to report the error.
        with contextlib.suppress(OSError), unstopped():
            while data:
                data = data[self._write_some(data) :]

    def _write_some(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # another program has set O_NONBLOCK, which is shared
            poller = select.poll()
            poller.register(self._fd, select.POLLOUT)
            if not poller.poll(WRITE_TIMEOUT * 1000):
                raise
            return 0
