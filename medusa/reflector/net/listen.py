"""Sockets that listen, with their options; and the words for an address that cannot be used."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from medusa.reflector.config import ConfigError

HTTP, RAW = "http", "raw"
"""The names of the listeners, and of what is spoken there."""

BACKLOG = 1024

BUFFER = 256 * 1024
"""Bytes that the kernel may hold for each direction of a link. By default it holds up to 13 MB of a pair whose reader
has stopped, and is a quarter slower, because the bytes on their way no longer fit into a processor's own cache."""

TCP_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
TCP_OPTIONS += [(socket.SOL_SOCKET, option, BUFFER) for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)]
TCP_OPTIONS += [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
"""With the kernel's keepalive (SO_KEEPALIVE): a peer that is not read, because the other side takes nothing, cannot
answer a ping."""
if hasattr(socket, "TCP_KEEPIDLE"):
    TCP_OPTIONS += [(socket.IPPROTO_TCP, option, 15) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)]
    TCP_OPTIONS += [(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)]


def prepare(sock: Any) -> None:
    """Set TCP_OPTIONS. Accepted sockets inherit them from the listening one."""
    for level, option, value in TCP_OPTIONS:
        sock.setsockopt(level, option, value)


def listen(ip: str, port: int, option: str = "--port") -> socket.socket:
    """A non-blocking socket that listens at an address; the sockets that it accepts have TCP_OPTIONS.

    Args:
        option: that sets the port, for the words of an error.

    Raises:
        ConfigError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        prepare(sock)
        sock.bind((ip, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        hint = ""
        if error.errno == errno.EADDRINUSE:
            hint = "; something else listens there: give another %s, or 0 for a free one" % option
        text = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError("cannot listen on %s:%d: %s%s" % (ip, port, text.lower(), hint)) from None
    return sock
