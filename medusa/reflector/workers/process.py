"""Starts the process of a worker, gives it orders and reads its reports. Computes the waits before its restarts."""

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
"""Seconds that a worker's process may go on after its output has ended. Then it is killed."""

STEADY_LIFETIME = 10.0
"""If a worker has lived for less than so many seconds, its end counts as a failed start."""

MIN_BACKOFF, MAX_BACKOFF = 0.1, 10.0
"""The shortest and the longest wait before a restart, in seconds."""


class WorkerProcess:
    """The process of one worker. Creating this object starts the process.

    Attributes:
        started: the time.monotonic() of its start.
        heard: the time.monotonic() of its last report. Before the first report: the time of its start.
        url: the URLs where the worker serves. "" until it has reported them.
        complaint: the reason why the worker cannot serve. "" if it has not reported one.
        drained: True if the worker has reported that it has no session any more, and will get none.

    Args:
        task: the task that the worker reads from its standard input.
        pass_fds: the descriptors that `task` names, for the process to inherit.
        program: the module that the process runs.

    Raises:
        OSError: the system cannot start another process.
    """

    def __init__(self, task: Task, pass_fds: Sequence[int], program: str = PROGRAM) -> None:
        self.number = task.number
        self.url = self.complaint = ""
        self.drained = False
        self.started = self.heard = time.monotonic()
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
        """The process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Returns the descriptor of the worker's output. It becomes readable when the worker reports or ends."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def order(self, order: bytes) -> None:
        """Sends the worker an order: DRAIN or RELOAD of medusa.reflector.workers.task."""
        self._write(order + b"\n")

    def read_reports(self) -> bool:
        """Reads the worker's reports into the attributes. Call it when `fileno` is readable.

        Returns False if the worker's output has ended. Then call `reap`.
        """
        data = os.read(self.fileno(), 4096)
        self.heard = time.monotonic()
        *lines, self._half_line = (self._half_line + data).split(b"\n")
        for line in lines:
            self._note(line.decode("utf-8", "replace"))
        return bool(data)

    def dismiss(self) -> None:
        """Tells the worker to stop, by closing its input.

        A worker that has reported that it is drained (has no session left) first passes on the last bytes of
        connections for other workers. Any other worker ends immediately: the supervisor dismisses such a worker only to
        stop everything at once.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """Kills the process (SIGKILL). Idempotent."""
        self._process.kill()

    def reap(self) -> dict[str, int | str]:
        """Waits for the end of the process. Returns a field for the log that says how it ended: "status" or "signal".

        If the process does not end within EXIT_TIMEOUT, it is killed.
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
            pass  # the worker has ended, as the end of its output will show; or it has long stopped reading orders


class Backoff:
    """Computes the waiting times before the restarts of one worker. It has no clock.

    The first restart follows immediately, the second after MIN_BACKOFF. For each further restart the wait doubles, up
    to MAX_BACKOFF. If a worker has lived for STEADY_LIFETIME, its next restart counts as the first again.
    """

    def __init__(self) -> None:
        self._failures = 0

    def delay(self, lived: float) -> float:
        """Returns the seconds to wait before the restart of a worker that has ended `lived` seconds after its start.

        Call it once for each end of a worker.
        """
        if lived >= STEADY_LIFETIME:
            self._failures = 0
        self._failures += 1
        return 0.0 if self._failures == 1 else min(MAX_BACKOFF, MIN_BACKOFF * 2.0 ** (self._failures - 2))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
