"""Connects to the target of a channel `tcp` or `unix`, or says why not."""

from __future__ import annotations

import socket
from typing import Any, Callable, Mapping

from medusa.transports.dial.errors import ConnectRefused
from medusa.transports.dial.target import host_port
from medusa.transports.dial.tcp import connect_any, reason
from medusa.transports.forwarding.lookups import Lookups
from medusa.transports.forwarding.refusal import REFUSED, TIMEOUT, UNKNOWN_HOST, CannotForward
from medusa.transports.steps import TIMED_OUT, Steps, Wait

BACKLOG_INTERVAL = 0.05
"""Seconds between two attempts to connect to a unix socket whose queue of connections is full."""

Clock = Callable[[], float]


def dial(fields: Mapping[str, Any], lookups: Lookups, deadline: float, clock: Clock) -> Steps[socket.socket]:
    """Returns a non-blocking socket that is connected to the target in `fields`: `host` and `port`, or `path`.

    Args:
        deadline: the latest end, as a time of `clock`.

    Raises:
        CannotForward: the target was not reached. The text names it.
    """
    if "path" in fields:
        return _dial_path(fields["path"], deadline, clock)
    return _dial_host(fields["host"], fields["port"], lookups, deadline, clock)


def _dial_host(host: str, port: int, lookups: Lookups, deadline: float, clock: Clock) -> Steps[socket.socket]:
    where = host_port(host, port)
    try:
        addresses = yield from lookups.find(host, port, deadline)
        sock: socket.socket = yield from connect_any(addresses, where, deadline, clock=clock)
    except ConnectRefused as error:
        raise CannotForward(TIMEOUT if clock() >= deadline else REFUSED, str(error)) from None
    except (OSError, ValueError) as error:
        code = TIMEOUT if isinstance(error, socket.timeout) else UNKNOWN_HOST
        raise CannotForward(code, "%s: %s" % (where, reason(error))) from None
    return prepared(sock)


def _dial_path(path: str, deadline: float, clock: Clock) -> Steps[socket.socket]:
    try:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
    except OSError as error:
        raise CannotForward(REFUSED, "%s: %s" % (path, reason(error))) from None
    connected = False
    try:
        while True:
            try:
                sock.connect(kernel_name(path))
                connected = True
                return sock
            except BlockingIOError:
                pass
            if clock() >= deadline:
                raise CannotForward(TIMEOUT, "%s: %s" % (path, TIMED_OUT))
            yield Wait({}, min(deadline, clock() + BACKLOG_INTERVAL))
    except (OSError, ValueError) as error:
        raise CannotForward(REFUSED, "%s: %s" % (path, reason(error))) from None
    finally:
        if not connected:
            sock.close()


def kernel_name(path: str) -> bytes:
    """Encodes a path for the kernel, in UTF-8. os.fsencode would depend on the locale, and a job may have none."""
    return path.encode("utf-8", "surrogateescape")


def prepared(sock: socket.socket) -> socket.socket:
    """Makes a connected TCP socket non-blocking, and lets it send small pieces at once. Returns it."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock
