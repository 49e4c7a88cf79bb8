"""Opens listening sockets, sets their options, and reports an address that cannot be used."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from medusa.reflector.config import ConfigError

HTTP, RAW = "http", "raw"
"""The names of the two listening sockets. Each is also the name of the protocol that peers use there."""

BACKLOG = 65535
"""The length of the kernel's queue of connections that are not accepted yet. The kernel lowers it to its own maximum.

If the queue is full, the kernel drops what completes a connection. The peer then believes that it is connected, and
waits until the kernel tries again: for 1 s, later for up to 30 s.
"""

TCP_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
TCP_OPTIONS += [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
"""(level, option, value) of each option of a link's socket, except the sizes of its buffers; see buffers/.

SO_KEEPALIVE is among them, because a ping does not always find out whether a peer is lost. While the peer on the other
side accepts no bytes, nothing is read from this peer. So its answer to a ping would not be read either.
"""
if hasattr(socket, "TCP_KEEPIDLE"):
    TCP_OPTIONS += [(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15), (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)]
    TCP_OPTIONS += [(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)]  # 45 s in all, as the default of --keepalive


def prepare(sock: Any) -> None:
    """Sets the options in TCP_OPTIONS on `sock`. If `sock` listens, the sockets that it accepts inherit them."""
    for level, option, value in TCP_OPTIONS:
        sock.setsockopt(level, option, value)


def listen(ip: str, port: int, option: str = "--port") -> socket.socket:
    """Returns a non-blocking socket that listens at the address `ip` and `port`.

    The sockets that it accepts have the options in TCP_OPTIONS.

    Args:
        option: the command-line option that sets the port. It is named in the text of an error.

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
