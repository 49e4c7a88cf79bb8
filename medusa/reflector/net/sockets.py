"""Functions for sockets: write addresses as text, switch watchers, hang up politely, take a socket from gevent."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent
from gevent import monkey

from medusa.transports.tls import TlsSocket

PlainSocket: Any = monkey.get_original("socket", "socket")
"""The socket class of the standard library, which links use. A link does not need the watchers of a gevent socket."""

READ, WRITE = 1, 2
"""The event masks of libev for a watcher: the socket is readable, or writable."""

MOST_LINGERING = 1024 * 1024
"""The maximum number of bytes that are read and dropped if a peer goes on sending after it got its answer."""

_poll = monkey.get_original("select", "poll")
_TCP_INFO = struct.Struct("=3x B 20x I 28x I 60x Q")
"""Fields of Linux's struct tcp_info: tcpi_probes, tcpi_unacked, tcpi_last_ack_recv, tcpi_bytes_acked."""

UNANSWERED_PROBES = 2
"""If the peer's host does not answer this number of the kernel's probes in a row, it counts as gone.

If a peer only stops reading, its host still answers the probes.
"""

_MORE = getattr(socket, "MSG_MORE", 0)
_HUNG_UP = getattr(select, "POLLRDHUP", 0)  # poll always reports POLLHUP and POLLERR as well


def host_port(address: tuple[Any, ...]) -> str:
    """Returns a socket's address as the text host:port, with an IPv6 host in brackets."""
    host, port = address[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def ungreen(sock: Any) -> socket.socket:
    """Returns a new socket without gevent that has the connection of `sock`. `sock` cannot be used afterwards.

    `sock`: a gevent socket, or a TlsSocket around one.
    """
    plain = sock.sock if isinstance(sock, TlsSocket) else sock
    kind = (plain.family, plain.type, plain.proto)  # otherwise the system would be asked for them
    found: socket.socket = PlainSocket(*kind, fileno=sock.detach())
    return found


def send_soon(sock: Any, data: bytes, more: bool) -> None:
    """Sends all of `data`. Blocks until the kernel has taken it. Raises OSError.

    Args:
        sock: a gevent socket, or a TlsSocket around one.
        more: True if other bytes follow at once: the kernel waits for them for a moment, to send both in one packet.
    """
    if not isinstance(sock, TlsSocket):
        data = data[sock.send(data, _MORE if more else 0) :]
    if data:
        sock.sendall(data)


def switch(watcher: Any, on: bool, callback: Callable[[], None]) -> None:
    """Starts a watcher of the event loop if `on` is True, otherwise stops it. Idempotent.

    `callback`: the function that a started watcher calls.
    """
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


def broken(fd: int) -> bool:
    """Returns True if the connection was reset, or has timed out, even if no read or write has shown it yet."""
    poll = _poll()
    poll.register(fd, 0)  # poll always reports POLLERR and POLLHUP as well
    return bool(poll.poll(0))


class Acknowledged(NamedTuple):
    """Tells how many bytes a peer's host has acknowledged, and for how long it has acknowledged nothing.

    Attributes:
        size: the number of bytes acknowledged so far.
        silence: seconds since the last acknowledgement. 0.0 if no sent bytes and no probes wait for one.
    """

    size: int
    silence: float


def acknowledged(fd: int) -> Acknowledged | None:
    """Returns what the host of a TCP peer has acknowledged. Returns None if the system cannot tell this.

    `fd`: the descriptor of the connection.
    """
    try:
        with PlainSocket(fileno=os.dup(fd)) as sock:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        probes, in_flight, milliseconds, size = _TCP_INFO.unpack(info)
    except (AttributeError, OSError, struct.error):
        return None
    return Acknowledged(size, milliseconds / 1000 if in_flight or probes >= UNANSWERED_PROBES else 0.0)


def silence(fd: int) -> float:
    """Returns the seconds since the host of a TCP peer has last acknowledged what was sent to it.

    Returns 0.0 if nothing waits for an acknowledgement, or if the system cannot tell this. `fd`: the descriptor of the
    connection.
    """
    found = acknowledged(fd)
    return found.silence if found is not None else 0.0


def hang_up(sock: Any, timeout: float) -> None:
    """Closes a connection in order: the peer gets all that was sent, and then a FIN instead of a reset.

    To avoid the reset, this function reads and drops what the peer still sends, until the peer closes its end. A peer
    that sends more than MOST_LINGERING bytes gets the reset.

    Args:
        timeout: the maximum number of seconds to wait for the peer to close its end.
    """
    deadline, left = time.monotonic() + timeout, MOST_LINGERING
    try:
        sock.settimeout(timeout)
        sock.shutdown(socket.SHUT_WR)
        while left > 0 and (seconds := deadline - time.monotonic()) > 0:
            sock.settimeout(seconds)  # a byte that comes in between gives no more time
            data = sock.recv(65536)
            if not data:
                break
            left -= len(data)
            gevent.sleep(0)  # recv does not switch greenlets while bytes are available
    except OSError:
        pass
    finally:
        sock.close()
