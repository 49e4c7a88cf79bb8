"""Tells systemd the state of a program that it has started, if it wants to know (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os

READY, STOPPING = "READY=1", "STOPPING=1"


def notify(state: str) -> None:
    """Send `state`. Never waits and never fails; does nothing if no service manager has asked."""
    import socket  # after gevent has patched it, if it does

    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), address)
