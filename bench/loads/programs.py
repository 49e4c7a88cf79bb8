"""Runs a program on pipes or on a terminal, and reads its output."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

READ_SIZE = 64 * 1024

TAIL = 200
"""Bytes of output that an error shows."""

KEPT = 4096
"""So many of the last bytes of output are kept, or more. A tmux writes a whole screen at once."""

START_TIMEOUT = 60.0
"""Seconds for the first output of a session."""

END_TIMEOUT = 120.0
"""Seconds for the rest of it."""

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
        tail: the last of them, KEPT or more if there are as many.
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
            self.tail = self.tail[-KEPT:] + data[-KEPT:]
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

    def write_all(self, block: bytes, size: int) -> dict[str, Any]:
        """Writes `block` again and again to the program's input, `size` bytes or more. Returns the record.

        Raises:
            Failed: the command does not print the number of these bytes, or the status is not 0.
        """
        begun, size = time.monotonic(), max(1, size // len(block)) * len(block)
        assert self.process.stdin is not None
        with self.process.stdin as stdin:
            for _ in range(size // len(block)):
                stdin.write(block)
        while self.read(READ_SIZE, END_TIMEOUT):
            pass
        status = self.process.wait(END_TIMEOUT)
        if status != 0 or self.tail.split() != [str(size).encode()]:
            raise Failed(f"status {status}, {size} bytes sent, {self.tail[-TAIL:]!r}")
        return {"bytes": size, "MBps": round(size / 1e6 / (self.last - begun), 1)}


@contextlib.contextmanager
def on_pipes(argv: list[str], to_command: bool = False) -> Iterator[Session]:
    """Context manager that runs a program whose output is a pipe. So is its input if `to_command`, else it has none."""
    reader, writer = os.pipe()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE if to_command else subprocess.DEVNULL, stdout=writer)
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


@contextlib.contextmanager
def file_of(block: bytes, size: int) -> Iterator[tuple[Path, int]]:
    """Context manager that makes a file of blocks. Yields its path and its size, which is near `size`."""
    with tempfile.NamedTemporaryFile(prefix="bench-") as file:
        for _ in range(max(1, size // len(block))):
            file.write(block)
        file.flush()
        yield Path(file.name), file.tell()
