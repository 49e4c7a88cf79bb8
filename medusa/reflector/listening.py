"""Sockets that listen, and what is said where one cannot be had."""

from __future__ import annotations

import errno
import os
import socket

from medusa.reflector.config import ConfigError

BACKLOG = 1024


def listen(ip: str, port: int) -> socket.socket:
    """A socket that listens there and does not block. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((ip, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        hint = ""
        if error.errno == errno.EADDRINUSE:
            hint = "; something else listens there: give another --port, or 0 for a free one"
        text = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError("cannot listen on %s:%d: %s%s" % (ip, port, text.lower(), hint)) from None
    return sock
