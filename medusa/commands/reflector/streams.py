"""Opens the standard descriptors of a reflector that are closed, and writes to stdout without ever blocking."""

from __future__ import annotations

import os


def open_closed() -> None:
    """Opens /dev/null in place of each standard descriptor that is closed. Call it before any other is opened.

    Otherwise a socket could get the number: a peer would receive log lines, and the pipes to a worker would take the
    place of a listening socket.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free: `fd`


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
