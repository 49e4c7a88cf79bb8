"""Connects to a host by TCP: to the first of its addresses that answers."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple

from medusa.transports.dial.errors import ConnectRefused
from medusa.transports.dial.lookup import lookup
from medusa.transports.dial.race import ATTEMPT_DELAY, Address, Race
from medusa.transports.dial.target import host_port
from medusa.transports.steps import TIMED_OUT, Steps, Wait

_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR)

NOT_TRIED = "not tried"

Failures = List[Tuple[str, str]]
"""The address and the reason of each attempt that failed."""


def connect_tcp(
    host: str, port: int, deadline: float, clock: Callable[[], float] = time.monotonic
) -> Steps[socket.socket]:
    """Returns a non-blocking socket that is connected to `host`, which is a name or an address.

    Args:
        deadline: the latest end of the lookup and the attempts together, as a time of `clock`.

    Raises:
        ConnectRefused: no address could be reached. The text names each of them, with its reason.
    """
    try:
        addresses = yield from lookup(host, port, deadline)
    except (OSError, ValueError) as error:
        raise ConnectRefused("%s: %s" % (host_port(host, port), reason(error))) from None
    sock: socket.socket = yield from connect_any(addresses, host_port(host, port), deadline, clock=clock)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # send each keystroke at once
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def connect_any(
    addresses: Sequence[Address],
    where: str,
    deadline: float,
    delay: float = ATTEMPT_DELAY,
    new_socket: Callable[[int, int], Any] = socket.socket,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[Any]:
    """Returns a non-blocking socket that is connected to one of the addresses: to the first that answers (RFC 8305).

    Args:
        where: the host and port, for the error's text.
        deadline: the latest end, as a time of `clock`.
        delay: seconds after which the next address is tried, while the attempts without an answer go on.
        new_socket: a function that makes a socket. The reflector passes gevent's.

    Raises:
        ConnectRefused: no address could be reached. The text names each of them, with its reason.
    """
    race = Race(addresses, delay)
    attempts = _Attempts(new_socket)
    try:
        while True:
            now = clock()
            address = race.begin(now) if now < deadline else None
            if address is not None:
                winner = attempts.begin(address)
            elif now < deadline and (attempts.under_way or race.left):
                winner = attempts.finish((yield Wait(attempts.wanted(), min(deadline, race.next_at()))))
            else:
                raise ConnectRefused(summary(where, attempts.all_failures(race.left)))
            if winner is not None:
                return winner
            if attempts.take_failed():
                race.failed()
    finally:
        attempts.close()


class _Attempts:
    """The sockets that are being connected. A socket that fails is closed at once. `close` closes all that are left."""

    def __init__(self, new_socket: Callable[[int, int], Any]) -> None:
        self._new_socket = new_socket
        self._sockets: Dict[int, Tuple[Any, Address]] = {}
        self._failures: Failures = []
        self._failed = False

    @property
    def under_way(self) -> bool:
        """True if at least one attempt still waits for its answer."""
        return bool(self._sockets)

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        return dict.fromkeys(self._sockets, select.POLLOUT)

    def begin(self, address: Address) -> Any:
        """Begins to connect to `address`. Returns the socket if it is connected already, else None."""
        try:
            sock = self._new_socket(address.family, socket.SOCK_STREAM)
        except OSError as error:  # no descriptor is free, or the system does not have this family
            return self._fail(address, reason(error))
        self._sockets[sock.fileno()] = (sock, address)
        sock.setblocking(False)
        try:
            number = sock.connect_ex(address.sockaddr)
        except OSError as error:  # a zone that does not exist
            number = error.errno or errno.EINVAL
        return None if number in _UNDER_WAY else self._finish(sock.fileno(), number)

    def finish(self, answered: Iterable[int]) -> Any:
        """Checks the attempts of these descriptors. Returns the first socket that is connected, or None.

        Closes the sockets of attempts that have failed.

        Args:
            answered: the descriptors that poll has reported.
        """
        for fd in answered:
            number = self._sockets[fd][0].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            winner = self._finish(fd, number)
            if winner is not None:
                return winner
        return None

    def take_failed(self) -> bool:
        """Returns True if an attempt has failed since the last call."""
        failed, self._failed = self._failed, False
        return failed

    def all_failures(self, left: Sequence[Address]) -> Failures:
        """Returns (address, reason) for each address. Call this when no attempt has succeeded.

        The reason is the error of the attempt, TIMED_OUT if it had no answer, or NOT_TRIED.

        Args:
            left: the addresses that were not tried.
        """
        late = [(address.host, TIMED_OUT) for _, address in self._sockets.values()]
        return self._failures + late + [(address.host, NOT_TRIED) for address in left]

    def close(self) -> None:
        for sock, _ in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def _finish(self, fd: int, number: int) -> Any:
        sock, address = self._sockets.pop(fd)
        if number == 0:
            return sock
        sock.close()
        return self._fail(address, os.strerror(number))

    def _fail(self, address: Address, why: str) -> None:
        self._failures.append((address.host, why))
        self._failed = True


def summary(where: str, failures: Failures) -> str:
    """Returns one line for all failures: `HOST:PORT: REASON (ADDRESS, ADDRESS); REASON (ADDRESS)`."""
    reasons: Dict[str, List[str]] = {}
    for host, why in failures:
        reasons.setdefault(why, []).append(host)
    if not reasons:
        return "%s: the name has no address" % where
    if (
        len(failures) == 1 and where.rpartition(":")[0].strip("[]") == failures[0][0]
    ):  # `host` is an address, not a name
        return "%s: %s" % (where, failures[0][1])
    return "%s: %s" % (where, "; ".join("%s (%s)" % (why, ", ".join(hosts)) for why, hosts in reasons.items()))


def reason(error: Exception) -> str:
    """Returns a text that describes an error of the system."""
    if isinstance(error, UnicodeError):
        return "this cannot be the name of a host"
    if isinstance(error, socket.timeout) and not error.strerror:
        return str(error) or TIMED_OUT
    return getattr(error, "strerror", None) or str(error)
