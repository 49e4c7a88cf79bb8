"""A worker as its supervisor sees it: a process, its orders and its reports."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence

from medusa.reflector.child_process import module, surroundings
from medusa.reflector.workers.task import DRAINED, FAILED, LISTENING, Task

PROGRAM = "medusa.commands.reflector.worker"


class Worker:
    """Started when it is made.

    Attributes:
        started: by time.monotonic().
        url: where it serves; "" while it does not.
        complaint: why it cannot; "" where it did not say.
        drained: no session lives in it, and none will.

    Args:
        pass_fds: what `task` names.
        program: the module to run.

    Raises:
        OSError: the system has no room for it.
    """

    def __init__(self, task: Task, pass_fds: Sequence[int], program: str = PROGRAM) -> None:
        self.number = task.number
        self.url = self.complaint = ""
        self.drained = False
        self.started = time.monotonic()
        self._half_line = b""
        self._process = subprocess.Popen(
            module(program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
            bufsize=0,
            **surroundings(),
        )
        self._order(task.line())
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def fileno(self) -> int:
        """What becomes readable when it reports, or ends."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def order(self, order: bytes) -> None:
        """One of medusa.reflector.workers.task's."""
        self._order(order + b"\n")

    def heard(self) -> bool:
        """Take what it reports; call when readable. False: it has ended."""
        data = os.read(self.fileno(), 4096)
        *lines, self._half_line = (self._half_line + data).split(b"\n")
        for line in lines:
            self._note(line.decode("utf-8", "replace"))
        return bool(data)

    def dismiss(self) -> None:
        """Let go of its input: it stops."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """Stop it hard. Idempotent."""
        self._process.kill()

    def bury(self) -> dict[str, int | str]:
        """It has ended: wait for it, and tell how it did, as a log does. One that only closed its output is killed."""
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        return {"status": status} if status >= 0 else {"signal": _signal_name(-status)}

    def _note(self, line: str) -> None:
        if line.startswith(LISTENING):
            self.url = line.removeprefix(LISTENING)
        elif line.startswith(FAILED):
            self.complaint = line.removeprefix(FAILED)
        elif line == DRAINED:
            self.drained = True

    def _order(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
        except OSError:
            pass  # it is gone, which its output tells, or has not read orders for a very long time


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
