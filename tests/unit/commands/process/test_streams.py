"""What a child process does with its standard streams: here it may close them, or fill them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

_OPENS = """
import os, sys
from medusa.commands.process.streams import open_closed
open_closed()
named = [os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)]
os.write(int(sys.argv[1]), " ".join(named).encode())
"""


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2]])
def test_what_is_closed_is_opened(closed: Sequence[int]) -> None:
    reader, writer = os.pipe()
    redirections = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", _OPENS, str(writer)]
    with open(reader) as found:
        subprocess.run(command, stdin=subprocess.DEVNULL, pass_fds=[writer], capture_output=True, check=True)
        os.close(writer)
        names = found.read().split()
    assert [name == "/dev/null" for name in names] == [fd in closed or fd == 0 for fd in (0, 1, 2)]


FULL = "No space left on device"
CLOSED = "Bad file descriptor"


@pytest.mark.parametrize(
    ("command", "redirection", "status", "words"),
    [
        ("--version", "", 0, "medusa 0"),
        ("--version", ">/dev/full", 1, "medusa: standard output: " + FULL),
        ("--version", ">&-", 1, "medusa: standard output: " + CLOSED),
        ("archive", ">&-", 1, "medusa archive: standard output: " + CLOSED),
        ("config path", ">/dev/full", 1, "medusa: standard output: " + FULL),
        ("reflector --check", ">/dev/full", 1, "medusa reflector: standard output: " + FULL),
        ("reflector --check", "| sleep 0", 0, ""),
        ("bogus", "", 2, "unknown command"),
        ("bogus", "2>/dev/full", 2, ""),
        ("bogus", "2>&-", 2, ""),
        ("config bogus", "2>/dev/full", 2, ""),
        ("sessions list --reflector http://127.0.0.1:1", "2>/dev/full", 1, ""),
        ("archive", ">/dev/full 2>/dev/full", 1, ""),
        ("archive", "<&- >&- 2>&-", 1, ""),
    ],
)
def test_a_command_whose_streams_take_nothing(command: str, redirection: str, status: int, words: str) -> None:
    line = f'exec "$@" {command} {redirection}' if "|" not in redirection else f'"$@" {command} {redirection}'
    program = ["bash", "-c", line, "bash", sys.executable, "-m", "medusa"]
    done = subprocess.run(
        program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = done.stdout.decode()
    assert done.returncode == status
    assert words in said
    assert bool(words) == bool(said)
    assert "Traceback" not in said
    assert "ignored" not in said
