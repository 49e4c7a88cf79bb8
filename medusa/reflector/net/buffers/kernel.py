"""Asks the kernel about the round trip and the memory of a connection, and sets the sizes of its buffers."""

from __future__ import annotations

import functools
import socket
import struct
from pathlib import Path

from medusa.reflector.net.buffers.sizes import BUFFER

MOST_UNREAD = 4 * 1024 * 1024
"""The most bytes of a long link that the kernel keeps until they are read. They take up to twice as much memory.

Left to itself, newer versions of Linux would take up to 32 MiB of memory.
"""

MOST_UNSENT = 256 * 1024
"""Bytes that the kernel takes for a long link before it can send them. Then it is not writable for a while.

So a keystroke waits for few other bytes, although many are on their way.
"""

_INFO = struct.Struct("=148x I")
"""The field tcpi_min_rtt of Linux's struct tcp_info, in microseconds."""

_UNKNOWN = 0xFFFFFFFF

_MEMORY = struct.Struct("=I 16x I")
_SO_MEMINFO = 55
"""An option of Linux: the bytes of memory that a socket takes for what has arrived, and for what is to be sent."""

_SETTINGS = "/proc/sys/net/"


def round_trip(sock: socket.socket) -> float | None:
    """Returns the shortest round trip of a TCP connection in the last minutes, in seconds.

    Returns 0.0 if it is not known yet, and None if the system cannot tell it.
    """
    try:
        (micros,) = _INFO.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
    except (AttributeError, OSError, struct.error):
        return None
    return 0.0 if micros == _UNKNOWN else max(micros, 1) / 1e6


def held(sock: socket.socket) -> int:
    """Returns how many bytes of memory the kernel holds for a connection. 0 if the system cannot tell it."""
    try:
        received, sent = _MEMORY.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMORY.size))
    except (OSError, struct.error):
        return 0
    return int(received + sent)


def fix(sock: socket.socket) -> None:
    """Lets the kernel buffer BUFFER bytes in each direction. What it has buffered stays until it is read or sent.

    Raises OSError if the socket is closed.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)


def let_grow(sock: socket.socket) -> None:
    """Leaves the sizes of the buffers to the kernel, up to MOST_UNREAD, and limits what waits to be sent.

    Raises OSError if the socket is closed.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT)
    if _grows_too_far():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MOST_UNREAD)


@functools.cache
def _grows_too_far() -> bool:
    """Returns True if the kernel would exceed MOST_UNREAD by itself, and lets a program set MOST_UNREAD.

    Some kernels let a program set much less than they take by themselves. Then they do not take too much.
    """
    try:
        by_itself, by_program = (Path(_SETTINGS, name).read_text() for name in ("ipv4/tcp_rmem", "core/rmem_max"))
    except OSError:
        return False
    return int(by_itself.split()[-1]) > 2 * MOST_UNREAD and int(by_program) >= MOST_UNREAD
