"""What the reflector does with a standard output that takes nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
