"""The load generator of sessions: runs a command through mlogin or ssh, and measures what comes out of it.

`python -m bench.session_load` prints a record in JSON, as the load generator of relays does.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from agent.process.inherited import adopt_orphans
from bench.processes import reserved_ports

READ_SIZE = 64 * 1024

LINE = b"the quick brown fox jumps over the lazy dog 0123456789 and so on to the end\n"

FORWARD_SIZE = 1 << 20
"""Bytes that are sent, and read, at once through a forwarded port."""

SLOW_READ = 4096
"""Bytes that a slow terminal reads at once."""

TAIL = 200
"""Bytes of output that an error shows."""

START_TIMEOUT = 60.0
"""Seconds for the first output of a session."""

END_TIMEOUT = 120.0
"""Seconds for the rest of it."""

ORPHANS_TIMEOUT = 5.0
"""Seconds for the session's other processes, such as the agent, to end after the program."""

POLL_INTERVAL = 0.01
"""Seconds."""

ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
"""A program for python -c: makes stdin its controlling terminal, and becomes the program in its arguments."""


class Failed(Exception):
    """The session did not do what it was asked for."""


class Session:
    """A running session, and the descriptor that its output comes from.

    Attributes:
        received: the number of bytes that came so far.
        tail: the last of them, TAIL or more if there are as many.
        first, last: when the first and the last of them came, in monotonic seconds.
    """

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process, self.fd = process, fd
        self.received, self.tail = 0, b""
        self.first = self.last = 0.0

    def read(self, size: int, timeout: float) -> bool:
        """Reads once. Returns False at the end of the output. Raises Failed if nothing comes for `timeout` seconds."""
        if not select.select([self.fd], [], [], timeout)[0]:
            raise Failed(f"no output for {timeout:g} s after {self.received} bytes")
        try:
            data = os.read(self.fd, size)
        except OSError:  # the end of a terminal
            data = b""
        if data:
            self.last = time.monotonic()
            self.first = self.first or self.last
            self.received += len(data)
            self.tail = self.tail[-TAIL:] + data[-TAIL:]
        return bool(data)

    def read_all(self, expected: int) -> dict[str, Any]:
        """Reads to the end. Returns the record.

        Raises:
            Failed: there are not `expected` bytes, or the status is not 0.
        """
        begun = time.monotonic()
        timeout = START_TIMEOUT
        while self.read(READ_SIZE, timeout):
            timeout = END_TIMEOUT
        status = self.process.wait(END_TIMEOUT)
        if status != 0 or self.received != expected:
            raise Failed(f"status {status}, {self.received} of {expected} bytes, {self.tail[-TAIL:]!r}")
        seconds = self.last - self.first
        return {"bytes": expected, "MBps": round(expected / 1e6 / seconds, 1), "whole_s": round(self.last - begun, 3)}


@contextlib.contextmanager
def on_pipes(argv: list[str]) -> Iterator[Session]:
    """Context manager that runs a program without input, whose output is a pipe."""
    reader, writer = os.pipe()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=writer)
    os.close(writer)
    with _ended(process, reader):
        yield Session(process, reader)


@contextlib.contextmanager
def on_terminal(argv: list[str]) -> Iterator[Session]:
    """Context manager that runs a program on a new terminal."""
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-c", ON_A_TERMINAL, *argv]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    with _ended(process, master):
        yield Session(process, master)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes], fd: int) -> Iterator[None]:
    """Context manager that closes `fd` and ends the process at its end."""
    try:
        yield
    finally:
        os.close(fd)  # first, because the process may wait until its output is read
        if process.poll() is None:
            process.terminate()
            process.wait()


def pipe(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how fast the bytes of a file come out of `cat` through a pipe."""
    block = os.urandom(1 << 20)
    with _file(block, options.size) as (path, size), on_pipes([*options.program, f"cat {path}"]) as session:
        return session.read_all(size)


def terminal(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how fast the lines of a file come out of `cat` on a terminal."""
    with _file(LINE * 1000, options.size) as (path, size), on_terminal([*options.program, f"cat {path}"]) as session:
        return session.read_all(size // len(LINE) * (len(LINE) + 1))  # the terminal adds a CR to each LF


def stale(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how many bytes a slow terminal still gets after a Control-C has ended an endless output."""
    with on_terminal([*options.program, "yes"]) as session:
        session.read(SLOW_READ, START_TIMEOUT)
        _read_slowly(session, options.rate, lambda: time.monotonic() - session.first >= options.duration)
        before = session.received
        os.write(session.fd, b"\x03")
        begun = time.monotonic()
        _read_slowly(session, options.rate, lambda: False)
        session.process.wait(END_TIMEOUT)
        return {"stale_MB": (session.received - before) / 1e6, "end_s": round(session.last - begun, 3)}


def forward(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how fast bytes come through a forwarded port (-L) of the session."""
    with _source(options.size) as far, reserved_ports(1) as [near]:
        spec = f"127.0.0.1:{near}:127.0.0.1:{far}"
        with on_pipes([*options.program[:-1], "-L", spec, options.program[-1], "echo; sleep 1000"]) as session:
            session.read(READ_SIZE, START_TIMEOUT)
            return _receive(near, options.size)


def _receive(port: int, size: int) -> dict[str, Any]:
    """Reads a connection to its end. Returns the record. Raises Failed if there are not `size` bytes."""
    buffer, received, first = bytearray(FORWARD_SIZE), 0, 0.0
    with socket.create_connection(("127.0.0.1", port), START_TIMEOUT) as sock:
        while count := sock.recv_into(buffer):
            first = first or time.monotonic()
            received += count
    if received != size:
        raise Failed(f"{received} of {size} bytes")
    return {"bytes": size, "MBps": round(size / 1e6 / (time.monotonic() - first), 1)}


@contextlib.contextmanager
def _source(size: int) -> Iterator[int]:
    """Context manager that sends `size` bytes over each connection, in a process of its own. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        pid = os.fork()
        if pid == 0:
            _send(server, size)
    try:
        yield port
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _send(server: socket.socket, size: int) -> NoReturn:
    """Sends `size` bytes over each connection, until this process is killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    block = memoryview(os.urandom(FORWARD_SIZE))
    while True:
        with contextlib.suppress(OSError), server.accept()[0] as sock:
            for at in range(0, size, len(block)):
                sock.sendall(block[: size - at])


def _read_slowly(session: Session, rate: float, over: Callable[[], bool]) -> None:
    """Reads at most `rate` bytes a second, to the end of the output, or until `over` returns True."""
    begun, before = time.monotonic(), session.received
    while not over() and session.read(SLOW_READ, END_TIMEOUT):
        ahead = (session.received - before) / rate - (time.monotonic() - begun)
        if ahead > 0:
            time.sleep(ahead)


@contextlib.contextmanager
def _file(block: bytes, size: int) -> Iterator[tuple[Path, int]]:
    """Context manager that makes a file of blocks. Yields its path and its size, which is near `size`."""
    with tempfile.NamedTemporaryFile(prefix="bench-") as file:
        for _ in range(max(1, size // len(block))):
            file.write(block)
        file.flush()
        yield Path(file.name), file.tell()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.session_load", description=__doc__)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--size", type=_size, default=1 << 20, help="bytes of output; k and m for KiB and MiB")
    parser.add_argument("--rate", type=float, default=4e5, help="bytes a second that a slow terminal reads")
    parser.add_argument("--duration", type=float, default=4.0, help="seconds before the Control-C")
    text = "an option that the program needs to give its command a terminal"
    parser.add_argument("--terminal-option", action="append", default=[], metavar="OPTION", help=text)
    parser.add_argument("program", nargs="+", help="the program, whose last argument will be the command")
    options = parser.parse_args(arguments)
    if options.action not in ("forward", "pipe"):
        options.program[1:1] = options.terminal_option
    return options


def _size(text: str) -> int:
    scale = {"k": 1 << 10, "m": 1 << 20}.get(text[-1:], 1)
    return int(text.rstrip("km")) * scale


ACTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "pipe": pipe,
    "terminal": terminal,
    "stale": stale,
    "forward": forward,
}


def main(arguments: list[str] | None = None) -> int:
    """Measures, and prints the record. Returns the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the session is ended
    try:
        print(json.dumps(ACTIONS[options.action](options)))
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _reap_orphans() -> None:
    """Waits until all processes of the session have ended, so that their time counts as that of this process."""
    deadline = time.monotonic() + ORPHANS_TIMEOUT
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(POLL_INTERVAL)


if __name__ == "__main__":
    adopt_orphans()
    status = main()
    _reap_orphans()
    sys.exit(status)
