"""A terminal with the test at its keyboard, and what became of the programs that ran on it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[1]
MLOGIN = [sys.executable, "-m", "medusa.commands.mlogin"]

# mlogin with times of a test's own.
_LAUNCH = """
import sys
from medusa.commands import mlogin
from medusa.client.timeouts import *
timeouts = eval(sys.argv.pop(1))
sys.exit(mlogin.main(timeouts=timeouts))
"""

# Makes standard input the controlling terminal of a new session, then becomes the program.
_ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)

_LAST = b"\x1b[the last words~"


def mlogin(*arguments: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> list[str]:
    """A command line of mlogin with these times."""
    start = [sys.executable, "-c", _LAUNCH, repr(timeouts)] if timeouts != DEFAULT_TIMEOUTS else MLOGIN
    return [*start, *arguments]


def run_alone(argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The whole run of a program that has no terminal, and nothing to read."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environ,
        cwd=ROOT,
        timeout=3 * PATIENCE,
        start_new_session=True,
    )


class Terminal:
    """A pseudo-terminal and the program in its foreground."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], columns: int = 80, lines: int = 24) -> None:
        self._master, self.slave = os.openpty()
        self.resize(columns, lines)
        self.modes_at_start = self.modes()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_TERMINAL, *argv],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=environ,
            cwd=ROOT,
            start_new_session=True,
        )
        self.screen = b""
        self._seen = 0

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()
        os.close(self.slave)

    def hang_up(self) -> None:
        """Ends the terminal, as when its window is closed."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.slave)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str | bytes) -> None:
        os.write(self._master, text if isinstance(text, bytes) else text.encode())

    def until(self, pattern: str) -> re.Match[bytes]:
        """Reads on until the regular expression matches something that no earlier call has matched or passed."""
        expression = re.compile(pattern.encode())
        deadline = time.monotonic() + PATIENCE
        while (found := expression.search(self.screen, self._seen)) is None:
            if not self.read(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"no {pattern!r} on the screen: {self.screen[self._seen :]!r}")
        self._seen = found.end()
        return found

    def status(self) -> int:
        """The exit status of the program, read to its end."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read(0.02)
            assert time.monotonic() < deadline, f"does not end: {self.screen!r}"
        while self.read(0.02):
            pass
        # What the program wrote may still be on its way, in a thread of the kernel's; this comes behind it.
        os.write(self.slave, _LAST)
        while _LAST not in self.screen:
            assert self.read(PATIENCE), f"the terminal stands still: {self.screen!r}"
        self.screen = self.screen.replace(_LAST, b"")
        return self.process.returncode

    def read(self, seconds: float = PATIENCE) -> bool:
        """Reads some bytes. Returns False if none came in time."""
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        self.screen += os.read(self._master, 65536)
        return True


@contextmanager
def terminal(argv: Sequence[str], environ: Mapping[str, str], **size: int) -> Iterator[Terminal]:
    opened = Terminal(argv, environ, **size)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def other_reflector() -> Iterator[str]:
    """The URL of a reflector that is not mlogin's own."""
    argv = [sys.executable, "-m", "medusa", "reflector", "--port", "0"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1].decode()
        finally:
            process.kill()


LOCAL = "local> "
REMOTE = r"#\x1b\[0m "


@contextmanager
def local_shell(home: Path) -> Iterator[Terminal]:
    """A local interactive shell, with `$MLOGIN` in place of the whole command line; ended at its own prompt."""
    environ = {**environment(home), "PS1": "local''> ", "MLOGIN": shlex.join(MLOGIN)}
    with terminal(["bash", "--norc", "--noprofile", "--noediting"], environ) as opened:
        opened.type("PS1='local''> '; bind 'set enable-bracketed-paste off' 2>/dev/null\r")
        opened.until(LOCAL)
        yield opened
        opened.type("exit\r")
        opened.status()


def modes(shell: Terminal) -> str:
    """`stty -g`, asked at the local prompt."""
    shell.type("stty -g\r")
    found = shell.until(r"([0-9a-f]+(?::[0-9a-f]+){20,})\r\n").group(1).decode()
    shell.until(LOCAL)
    return found


def state_of(pid: int) -> str:
    """T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[0]


def memory_of(pid: int) -> int:
    """The bytes that the process has in memory."""
    return 1024 * int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


def environment(home: Path) -> dict[str, str]:
    """For a program whose every descendant can be told by its temporary directory."""
    fixed = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT), "MEDUSA_LOGIN_SHELL": "false"}
    return {**os.environ, "TMPDIR": str(home), **fixed}


def processes_of(home: Path) -> dict[int, str]:
    """The processes started with environment(home), and theirs; zombies left out."""
    mark = f"TMPDIR={home}".encode()
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
    return found


def find(home: Path, pattern: str) -> int:
    """The process of `home` in whose command line the regular expression is found, not a fork of it; waits for it."""

    def matching() -> list[int]:
        found = {pid for pid, line in processes_of(home).items() if re.search(pattern, line)}
        return [pid for pid in found if _parent(pid) not in found]

    return wait_until(matching, pattern)[0]


def _parent(pid: int) -> int:
    """0 where the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    except OSError:
        return 0


def assert_nothing_left(home: Path) -> None:
    """No process and no file of a session is left."""
    try:
        wait_until(lambda: not processes_of(home), "all processes to end")
        wait_until(lambda: not list(home.iterdir()), "all files to go")
    except AssertionError as error:
        left = processes_of(home)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"left behind: {left}, {list(home.iterdir())}") from error
