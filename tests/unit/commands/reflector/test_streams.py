"""What a child process does with its standard streams: here it may close them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

_OPENS = """
import os, sys
from medusa.commands.reflector.streams import open_closed
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


_ANNOUNCES = """
import structlog, sys
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from medusa.commands.reflector.streams import announce
announce("http://here")
"""


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [("/dev/full", "No space left on device"), ("closed pipe", "Broken pipe"), ("full pipe", "nobody reads it")],
)
def test_a_stdout_that_takes_nothing(stdout: str, reason: str) -> None:
    reader, writer = os.pipe()
    with open("/dev/full", "wb") as full, open(reader, "rb") as end, open(writer, "wb", buffering=0) as pipe:
        if stdout == "closed pipe":
            end.close()
        elif stdout == "full pipe":
            os.set_blocking(pipe.fileno(), False)
            while pipe.write(bytes(1 << 16)):
                pass
        target = full if stdout == "/dev/full" else pipe
        done = subprocess.run([sys.executable, "-c", _ANNOUNCES], stdout=target, stderr=subprocess.PIPE, check=True)
    assert reason.encode() in done.stderr
    assert b"http://here" in done.stderr
