"""Tells systemd that a program it has started is ready, reloads, still runs, or stops (sd_notify(3))."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(state: str) -> None:
    """Sends `state`, such as READY, to the service manager. Never blocks or raises.

    Does nothing if the program runs under no service manager, or under one that wants no such messages.
    """
    import socket  # imported here because gevent may patch it after this module is loaded

    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), address)


@contextlib.contextmanager
def reloading() -> Iterator[None]:
    """Context manager that tells the service manager that the `with` block reloads the configuration."""
    notify("RELOADING=1\nMONOTONIC_USEC=%d" % (time.monotonic_ns() // 1000))
    try:
        yield
    finally:
        notify(READY)


class Watchdog:
    """Sends the signs of life that systemd wants from a service with WatchdogSec. Without WatchdogSec, sends none.

    Attributes:
        interval: seconds between two signs of life: half of the time after which systemd would end the service.
            Infinite if systemd wants none.
        due: the time.monotonic() at which the next sign of life is due.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        wanted, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
        meant = pid in ("", str(os.getpid())) and wanted.isdecimal() and int(wanted) > 0
        self.interval = int(wanted) / 2e6 if meant else math.inf
        self.due = clock() if meant else math.inf

    def beat(self) -> None:
        """Sends a sign of life if one is due."""
        now = self._clock()
        if now >= self.due:
            self.due = now + self.interval
            notify(ALIVE)
