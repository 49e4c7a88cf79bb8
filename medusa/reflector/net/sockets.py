"""What the reflector does with sockets beside reading and writing: address, watchers, hang-up, leaving gevent."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey

PlainSocket: Any = monkey.get_original("socket", "socket")
"""The standard library's socket, for links: gevent's own have two watchers each, and a link has watchers already."""

READ, WRITE = 1, 2
"""libev's event masks, for a watcher of a socket."""

_poll = monkey.get_original("select", "poll")
_HUNG_UP = getattr(select, "POLLRDHUP", 0)  # POLLHUP and POLLERR are always reported


def host_port(address: tuple[Any, ...]) -> str:
    """host:port of a socket's address, an IPv6 host in brackets."""
    host, port = address[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def ungreen(sock: Any) -> socket.socket:
    """The connection of gevent's `sock`, or of a TlsSocket around it, without gevent; `sock` no longer has it."""
    plain: socket.socket = PlainSocket(fileno=sock.detach())
    return plain


def switch(watcher: Any, on: bool, callback: Callable[[], None]) -> None:
    """Start or stop a watcher of the event loop, unless it is in that state already."""
    if on is not watcher.active:
        if on:
            watcher.start(callback)
        else:
            watcher.stop()


def hung_up(fd: int) -> bool:
    """True if the peer has ended its stream, also if bytes that came before the end are still unread."""
    poll = _poll()
    poll.register(fd, _HUNG_UP)
    return bool(poll.poll(0))


def hang_up(sock: Any, timeout: float) -> None:
    """End a connection so that the peer sees what was sent, and a FIN rather than a reset.

    Args:
        timeout: seconds to go on reading.
    """
    deadline = time.monotonic() + timeout
    try:
        sock.settimeout(timeout)
        sock.shutdown(socket.SHUT_WR)
        while time.monotonic() < deadline and sock.recv(65536):
            gevent.sleep(0)  # recv does not let others run while there is something to read
    except OSError:
        pass
    finally:
        sock.close()
