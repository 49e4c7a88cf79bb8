"""Calls a function that may block for long in a helper process, and waits for its result in steps.

A process can be killed if it takes too long. A thread cannot be killed, and a program with threads cannot fork safely.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from typing import Any, Callable

from medusa.forked import blocked_signals, fork_helper
from medusa.transports.steps import TIMED_OUT, Steps, Wait


def ask_helper(answer: Callable[[], Any], deadline: float) -> Steps[Any]:
    """Calls `answer` in a helper process, and returns its result, which must be a JSON value.

    Returns None if the helper has died, or could not be started. Kills the helper if the caller gives up, or if the
    handler of a signal raises. If the helper leads a process group, kills all processes of this group.

    Raises:
        socket.timeout: the helper has not answered before `deadline`, a time of time.monotonic().
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)  # a caller may pass the event of an earlier pipe that had the same descriptor
    pid, at_work = 0, True
    try:
        try:
            with blocked_signals():
                pid = fork_helper(lambda: _write(writer, answer()), {writer})
        except OSError:
            return None
        finally:
            os.close(writer)
        data = yield from _read(reader, deadline)
        at_work = False
        return json.loads(data) if data else None
    finally:
        os.close(reader)
        if pid:
            _end(pid, at_work)


def _write(writer: int, answer: Any) -> None:
    data = json.dumps(answer).encode("ascii")
    while data:
        data = data[os.write(writer, data) :]


def _read(reader: int, deadline: float) -> Steps[bytes]:
    """Returns all that comes from the pipe until its end. Raises socket.timeout at the deadline."""
    data = b""
    while True:
        if not (yield Wait({reader: select.POLLIN}, deadline)):
            raise socket.timeout(TIMED_OUT)
        try:
            chunk = os.read(reader, 1 << 16)
        except BlockingIOError:
            continue
        if not chunk:
            return data
        data += chunk


def _end(pid: int, at_work: bool) -> None:
    """Reaps a helper process. If `at_work`, kills it first.

    A helper that has ended must not be killed: its pid may already be that of another process.
    """
    for kill in (os.killpg, os.kill) if at_work else ():
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it leads no group
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # SIGCHLD is ignored, or the program has reaped it with its other children
