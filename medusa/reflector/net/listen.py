"""Sockets that listen, and what is said where one cannot be had."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from medusa.reflector.config import ConfigError

HTTP, RAW = "http", "raw"
"""The listeners' names."""

BACKLOG = 1024

BUFFER = 256 * 1024
"""Bytes that the kernel may hold for each direction of a link. Left to itself it takes up to 13 MB of a pair whose
reader has stopped, and is a quarter slower: what is on its way no longer fits into a processor's own cache."""

TCP_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
TCP_OPTIONS += [(socket.SOL_SOCKET, option, BUFFER) for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)]
TCP_OPTIONS += [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
"""Keepalive is the kernel's own, for a peer that is not read because the other side takes nothing: it could answer no
ping then."""
if hasattr(socket, "TCP_KEEPIDLE"):
    TCP_OPTIONS += [(socket.IPPROTO_TCP, option, 15) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)]
    TCP_OPTIONS += [(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)]


def prepare(sock: Any) -> None:
    """Set what the sockets of links are to have; those that are accepted inherit it of the listening one."""
    for level, option, value in TCP_OPTIONS:
        sock.setsockopt(level, option, value)


def listen(ip: str, port: int, option: str = "--port") -> socket.socket:
    """A socket that listens there and does not block; what it accepts has TCP_OPTIONS.

    Args:
        option: whose port it is, for who has to choose another.

    Raises:
        ConfigError
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
