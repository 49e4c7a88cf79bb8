"""A worker as its supervisor sees it: a process, its orders and its reports; and when to start one again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence

from medusa.reflector.child_process import module, surroundings
from medusa.reflector.workers.task import DRAINED, FAILED, LISTENING, Task

PROGRAM = "medusa.commands.reflector.worker"

EXIT_TIMEOUT = 1.0
"""Seconds from the end of a worker's output to the end of its process; then it is killed."""

STEADY_LIFETIME = 10.0
"""Seconds: a worker that lived for so long did not fail at its start."""

MIN_BACKOFF, MAX_BACKOFF = 0.1, 10.0
"""Seconds."""


class WorkerProcess:
    """Starts the process at once.

    Attributes:
        started: by time.monotonic().
        url: where it serves; "" while it does not.
        complaint: why it cannot serve; "" if it did not say.
        drained: no session lives in it any more, and none will.

    Args:
        pass_fds: the descriptors that `task` names.
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
        self._write(task.line())
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def fileno(self) -> int:
        """The descriptor that becomes readable when the worker reports, or ends."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def order(self, order: bytes) -> None:
        """Send one of the orders of medusa.reflector.workers.task."""
        self._write(order + b"\n")

    def read_reports(self) -> bool:
        """Read what has been reported; call when readable. False: the output has ended, so call `reap`."""
        data = os.read(self.fileno(), 4096)
        *lines, self._half_line = (self._half_line + data).split(b"\n")
        for line in lines:
            self._note(line.decode("utf-8", "replace"))
        return bool(data)

    def dismiss(self) -> None:
        """Close its input: it stops, at once or, if it has drained, after its last connections."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """Stop it hard. Idempotent."""
        self._process.kill()

    def reap(self) -> dict[str, int | str]:
        """Wait for the process, and return how it ended: {"status": ...} or {"signal": ...}, as the log has it.

        A process that only closed its output is killed after EXIT_TIMEOUT.
        """
        try:
            status = self._process.wait(EXIT_TIMEOUT)
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

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
        except OSError:
            pass  # it has ended, which its output shows, or has read no order for a very long time


class Backoff:
    """How long to wait before a worker is started again. No clock.

    The first start follows at once, each later one after twice the time, until a worker has lived for STEADY_LIFETIME.
    """

    def __init__(self) -> None:
        self._failures = 0

    def delay(self, lived: float) -> float:
        """Seconds to wait. Call once for each worker that has ended, `lived` seconds after its start."""
        if lived >= STEADY_LIFETIME:
            self._failures = 0
        self._failures += 1
        return 0.0 if self._failures == 1 else min(MAX_BACKOFF, MIN_BACKOFF * 2.0 ** (self._failures - 2))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
