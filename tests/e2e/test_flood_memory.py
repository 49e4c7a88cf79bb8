"""A flood of output does not make the programs grow, however long it is."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
from pathlib import Path

from tests.own_sessions import environ, train
from tests.terminals import ROOT, find, memory_of
from tests.waiting import wait_until

FIRST, FLOOD = 1 << 20, 1 << 30


def test_a_flood_through_pipes_and_a_reader_that_stops(home: Path) -> None:
    with train(home):
        command = [sys.executable, "-m", "medusa", "exec", "-n", "train", "--", "cat /dev/zero"]
        with subprocess.Popen(command, cwd=ROOT, env=environ(home), stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            output = client.stdout.fileno()
            programs = {"agent": find(home, "agent.sh --config"), "client": client.pid}
            read(output, FIRST)
            before = {name: memory_of(pid) for name, pid in programs.items()}
            read(output, FLOOD)
            size = fcntl.fcntl(output, fcntl.F_GETPIPE_SZ)
            wait_until(lambda: unread(output) > size // 2)
            grown = {name: memory_of(pid) - before[name] for name, pid in programs.items()}
            client.kill()
    assert {name: size for name, size in grown.items() if size >= 8 << 20} == {}


def read(fd: int, size: int) -> None:
    while size > 0:
        data = os.read(fd, 1 << 20)
        assert data, "the client has ended"
        size -= len(data)


def unread(fd: int) -> int:
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
