"""Tells the service manager how a program fares, where one has started it and wants to know (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os

READY, STOPPING = "READY=1", "STOPPING=1"


def notify(state: str) -> None:
    """Never waits, and never fails: nobody need listen."""
    import socket  # once gevent has replaced it, where that is to be

    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), address)
