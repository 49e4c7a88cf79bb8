"""Writes the log: one line per event on stderr, which a job system keeps for the user.

Callers must log no secrets. The query of a URL is a secret.
"""

from __future__ import annotations

import os
import select

from medusa.protocol.printable import printable

MAX_LINE = 1024
STDERR = 2


def log(event: str, timeout: float = 0.0) -> None:
    """Writes one line to stderr. Never raises.

    The line is lost if stderr is closed, or accepts nothing for `timeout` seconds.
    """
    line = "medusa agent: %s\n" % printable(event, MAX_LINE)
    try:
        if _writable(STDERR, timeout):
            os.write(STDERR, line.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def _writable(fd: int, timeout: float) -> bool:
    # A pipe that poll reports as writable accepts PIPE_BUF bytes at once, so a log line does not block the loop.
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in poller.poll(1000 * timeout))
