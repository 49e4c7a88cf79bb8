"""Helpers for sockets: addresses as text, watchers, hang-up, and sockets without gevent."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey

PlainSocket: Any = monkey.get_original("socket", "socket")
"""The standard library's socket class, for links. A gevent socket has two watchers, but a link has its own."""

READ, WRITE = 1, 2
"""The event masks of libev for a watcher: the socket is readable, or writable."""

MOST_LINGERING = 1024 * 1024
"""The most bytes to read, and drop, from a peer that goes on sending after it was answered."""

_poll = monkey.get_original("select", "poll")
_HUNG_UP = getattr(select, "POLLRDHUP", 0)  # poll always reports POLLHUP and POLLERR as well


def host_port(address: tuple[Any, ...]) -> str:
    """Returns a socket's address as the text host:port, with an IPv6 host in brackets."""
    host, port = address[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def ungreen(sock: Any) -> socket.socket:
    """Moves the connection from `sock`, a gevent socket or a TlsSocket around one, to a new socket without gevent.

    Returns the new socket. `sock` is unusable afterwards.
    """
    plain: socket.socket = PlainSocket(fileno=sock.detach())
    return plain


def switch(watcher: Any, on: bool, callback: Callable[[], None]) -> None:
    """Starts a watcher of the event loop if `on` is True, otherwise stops it. Does nothing if that is already so."""
    if on is not watcher.active:
        if on:
            watcher.start(callback)
        else:
            watcher.stop()


def hung_up(fd: int) -> bool:
    """Returns True if the peer has ended its stream, even if bytes before that end are still unread."""
    poll = _poll()
    poll.register(fd, _HUNG_UP)
    return bool(poll.poll(0))


def hang_up(sock: Any, timeout: float) -> None:
    """Closes a connection in order: the peer gets all that was sent, and then a FIN instead of a reset.

    For that it reads, and drops, what the peer still sends, until the peer closes its end. A peer that sends more than
    MOST_LINGERING bytes gets the reset.

    Args:
        timeout: the maximum number of seconds to read.
    """
    deadline, left = time.monotonic() + timeout, MOST_LINGERING
    try:
        sock.settimeout(timeout)
        sock.shutdown(socket.SHUT_WR)
        while time.monotonic() < deadline and left > 0 and (data := sock.recv(65536)):
            left -= len(data)
            gevent.sleep(0)  # recv does not switch greenlets while bytes are available
    except OSError:
        pass
    finally:
        sock.close()
