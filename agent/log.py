"""One line an event on stderr, which in a job is a file the user is given. Never a secret, never the query of a URL."""

from __future__ import annotations

import os
import select

from medusa.protocol.printable import printable

MAX_LINE = 1024
STDERR = 2


def log(event: str, patience: float = 0.0) -> None:
    """Write `event`. A stderr that is closed, or takes nothing for `patience` s, loses the line, not the session."""
    line = "medusa agent: %s\n" % printable(event, MAX_LINE)
    try:
        if _writable(STDERR, patience):
            os.write(STDERR, line.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def _writable(fd: int, patience: float) -> bool:
    # A writable pipe takes PIPE_BUF bytes at once; the loop must not stand still for a log line.
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in poller.poll(1000 * patience))
