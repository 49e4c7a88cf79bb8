"""Functions for sockets: write addresses as text, switch watchers, hang up politely, take a socket from gevent."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent
from gevent import monkey
from gevent.socket import wait_read, wait_write

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


class AcceptedSocket:
    """The socket of an accepted connection, for a greenlet: the methods block it, as those of gevent's sockets do.

    In contrast to them, this object has a watcher only while it waits, and `give` makes no further socket. So it costs
    less for a connection whose request has come by the time that it is accepted.

    `plain`: a non-blocking socket without gevent. This object owns it until `give`.
    """

    __slots__ = ("_plain", "_timeout")

    def __init__(self, plain: socket.socket) -> None:
        self._plain: socket.socket | None = plain
        self._timeout: float | None = None

    def _open(self) -> socket.socket:
        if self._plain is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._plain

    def give(self) -> socket.socket:
        """Returns the socket without gevent. From then on this object behaves like a closed socket."""
        plain, self._plain = self._open(), None
        return plain

    def fileno(self) -> int:
        """Returns the descriptor; -1 after `give`, `detach` or `close`."""
        return self._plain.fileno() if self._plain is not None else -1

    def settimeout(self, seconds: float | None) -> None:
        """Sets the maximum number of seconds that a later call may wait; 0.0 for none, None for no limit."""
        self._timeout = seconds

    def recv_now(self, size: int) -> bytes:
        """Reads up to `size` bytes, and never waits. Returns b"" also if there are none yet. Raises OSError."""
        try:
            return self._open().recv(size)
        except BlockingIOError:
            return b""

    def recv(self, size: int) -> bytes:
        """Reads and returns up to `size` bytes; b"" at the end. Raises OSError, a TimeoutError after the timeout."""
        while True:
            try:
                return self._open().recv(size)
            except BlockingIOError:
                self._wait(wait_read, self._timeout)

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        """Sends a part of `data` at least, and returns its size. Raises OSError, a TimeoutError after the timeout."""
        while True:
            try:
                return self._open().send(data, flags)
            except BlockingIOError:
                self._wait(wait_write, self._timeout)

    def sendall(self, data: bytes | memoryview) -> None:
        """Sends all of `data`. The timeout is for all of it. Raises the errors that `send` raises."""
        rest = memoryview(data)
        end = time.monotonic() + (self._timeout or 0.0)
        while rest:
            try:
                rest = rest[self._open().send(rest) :]
            except BlockingIOError:
                self._wait(wait_write, self._timeout and max(1e-6, end - time.monotonic()))

    def _wait(self, wait: Callable[..., object], seconds: float | None) -> None:
        """Waits by `wait` for the socket. Without a wait (0.0), raises the error that is being handled."""
        if seconds == 0.0:
            raise  # noqa: PLE0704 - called in an except block
        wait(self.fileno(), seconds, TimeoutError("timed out"))

    def shutdown(self, how: int) -> None:
        """Ends one direction or both, like socket.shutdown. Raises OSError."""
        self._open().shutdown(how)

    def detach(self) -> int:
        """Gives the descriptor to the caller, and returns it. Returns -1 if this object has none any more."""
        return self.give().detach() if self._plain is not None else -1

    def close(self) -> None:
        """Closes the socket. Does nothing after `give` or `detach`. May be called more than once."""
        if self._plain is not None:
            self._plain.close()
            self._plain = None

    def replaced(self) -> AcceptedSocket:
        """Duplicates the descriptor, closes this socket, and returns one with the duplicate. Raises OSError."""
        plain = self._open()
        try:
            return adopted(os.dup(plain.fileno()), plain.family, plain.type, plain.proto)
        finally:
            self.close()


def accept(listener: Any) -> tuple[AcceptedSocket, tuple[Any, ...]] | None:
    """Accepts a connection. Returns (socket, address of the peer), or None if there is none. Raises OSError.

    `listener`: a non-blocking socket that listens, of gevent or not.
    """
    try:
        fd, address = listener._accept()
    except BlockingIOError:
        return None
    return adopted(fd, listener.family, socket.SOCK_STREAM, listener.proto), address


def adopted(fd: int, *kind: int) -> AcceptedSocket:
    """Returns the socket with the descriptor `fd`, and makes it non-blocking. Raises OSError if `fd` is no socket.

    `kind`: its family, type and protocol. Without them, the system is asked.
    """
    plain = PlainSocket(*kind, fileno=fd)
    plain.setblocking(False)
    return AcceptedSocket(plain)


def host_port(address: tuple[Any, ...]) -> str:
    """Returns a socket's address as the text host:port, with an IPv6 host in brackets."""
    host, port = address[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def ungreen(sock: Any) -> socket.socket:
    """Returns a new socket without gevent that has the connection of `sock`. `sock` cannot be used afterwards.

    `sock`: a gevent socket or an AcceptedSocket, or a TlsSocket around one.
    """
    plain = sock.sock if isinstance(sock, TlsSocket) else sock
    if isinstance(plain, AcceptedSocket):
        return plain.give()
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
