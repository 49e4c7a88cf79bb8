"""Tells systemd that a program it has started is ready, or stops (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os

READY, STOPPING = "READY=1", "STOPPING=1"


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
