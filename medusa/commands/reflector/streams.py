"""Writes to the standard output of a reflector, without ever blocking."""

from __future__ import annotations

import os


def announce(urls: str) -> None:
    """Writes the line on stdout that says where the reflector listens. If stdout does not take it, the log says so."""
    import select  # imported here because gevent may patch modules after this one is loaded

    import structlog

    writable = select.poll()
    writable.register(1, select.POLLOUT)
    try:
        if not writable.poll(0):
            raise BlockingIOError(0, "nobody reads it")
        os.write(1, f"listening {urls}\n".encode())
    except OSError as error:
        log = structlog.get_logger(component="server")
        log.warning("standard output does not take the line", error=error.strerror, listening=urls)
