"""A terminal emulator (tmux) that is fed with bytes, and whose screen can be read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.waiting import PATIENCE


class Emulator:
    """One pane of tmux, which shows what is passed to `feed`.

    Args:
        directory: a new directory, for the pipe to tmux and for its socket.
    """

    def __init__(self, directory: Path, columns: int, lines: int) -> None:
        directory.mkdir()
        self._environ = {**os.environ, "TMUX_TMPDIR": str(directory), "LC_ALL": "C.UTF-8"}
        self._environ.pop("TMUX", None)
        os.mkfifo(pipe := directory / "pipe")
        size = ("-x", str(columns), "-y", str(lines))
        command = f"stty raw -echo; exec cat {pipe}"
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, command, ";", "set-option", "-g", "status", "off")
        self._tmux("resize-window", *size)
        self._writer = os.open(pipe, os.O_WRONLY)

    def feed(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._writer, data) :]

    def screen(self) -> list[str]:
        """The lines of the screen, without the empty ones at its end."""
        return [line.rstrip() for line in self._tmux("capture-pane", "-p").rstrip().split("\n")]

    def state(self, *names: str) -> list[str]:
        """The values of tmux's variables, such as `alternate_on` or `cursor_flag`."""
        return self._tmux("display-message", "-p", " ".join(f"#{{{name}}}" for name in names)).split()

    def close(self) -> None:
        self._tmux("kill-server")
        os.close(self._writer)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", *arguments], env=self._environ, capture_output=True, timeout=PATIENCE, check=True
        )
        return done.stdout.decode()
