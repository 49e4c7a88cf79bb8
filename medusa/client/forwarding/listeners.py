"""Listens on this machine, for the options -L and -D."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import stat
import time
from collections.abc import Callable, Container, Iterator

from medusa.client.forwarding.report import Report
from medusa.client.outcome import Failure
from medusa.client.places.specs import Forward, Place
from medusa.transports.dial.tcp import reason
from medusa.transports.forwarding.listening import Listener, listen, passes
from medusa.transports.forwarding.lookups import Lookups
from medusa.transports.forwarding.refusal import IN_USE, CannotForward
from medusa.transports.steps import run

BIND_TIMEOUT = 20.0
"""Seconds to look up the address of a listener."""

AT_ONCE = 32
"""The most connections that are accepted in one round."""

INTERVAL = 1.0
"""Seconds after which a listener that could accept nothing tries again, and after which its file is looked for."""


class Listeners:
    """The sockets of this machine that listen in one session.

    Args:
        clock: a function that returns monotonic seconds.
    """

    def __init__(self, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._clock = report, clock
        self._listeners: list[tuple[Forward, Listener]] = []
        self._by_fd: dict[int, tuple[Forward, Listener]] = {}
        self._paused = False
        self._look_at = math.inf

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, forward: Forward, lookups: Lookups) -> None:
        """Listens for `forward`. Blocks while a name is looked up. Raises Failure if that is not possible."""
        place = forward.listen
        if place.path:
            _remove_stale(place.path)
        try:
            listener = run(listen(_fields(place), lookups, self._clock() + BIND_TIMEOUT))
        except CannotForward as error:
            advice = "; 0 takes any free port" if error.code == IN_USE and not place.path else ""
            raise Failure(f"cannot listen on {error}{advice}") from None
        self._listeners.append((forward, listener))
        self._by_fd.update(dict.fromkeys(listener.fds, (forward, listener)))
        if listener.is_file:
            self._look_at = self._clock() + INTERVAL

    def announce(self) -> None:
        """Tells the user where this machine listens."""
        for forward, listener in self._listeners:
            self._report.forwarding(forward, _place(listener))

    @property
    def fds(self) -> list[int]:
        """The descriptors to poll for connections; none if no connection can be accepted for a while."""
        return [] if self._paused else list(self._by_fd)

    @property
    def deadline(self) -> float:
        """The time at which to call `accept` even without an event."""
        return self._look_at

    def accept(self, ready: Container[int], may: Callable[[], bool]) -> Iterator[tuple[Forward, socket.socket]]:
        """Yields each connection that has come, with what is to be done with it.

        Args:
            ready: the descriptors that poll has reported.
            may: a function that returns False if no more connections can be taken now.
        """
        self._look()
        left = AT_ONCE
        for fd in [fd for fd in self._by_fd if fd in ready]:
            while left and not self._paused and fd in self._by_fd and may():
                left -= 1
                found = self._accept(fd)
                if found is None:
                    break
                yield self._by_fd[fd][0], found

    def _accept(self, fd: int) -> socket.socket | None:
        forward, listener = self._by_fd[fd]
        try:
            found = listener.accept(fd)
        except OSError as error:
            if passes(error):
                self._paused, self._look_at = True, self._clock() + INTERVAL
                self._report.problem(f"connections to {_place(listener)} have to wait: {reason(error)}")
            else:
                self._died(forward, listener, reason(error))
            return None
        return None if found is None else found[0]

    def _look(self) -> None:
        """Looks for the files of unix sockets from time to time. Without its file, nobody can connect to a socket."""
        if self._clock() < self._look_at:
            return
        self._paused = False
        for forward, listener in [entry for entry in self._listeners if entry[1].removed]:
            self._died(forward, listener, "its file was removed")
        files = any(listener.is_file for _, listener in self._listeners)
        self._look_at = self._clock() + INTERVAL if files else math.inf

    def _died(self, forward: Forward, listener: Listener, why: str) -> None:
        self._report.problem(f"{_place(listener)} is not forwarded any more: {why}")
        for fd in listener.fds:
            del self._by_fd[fd]
        self._listeners.remove((forward, listener))
        listener.close()

    def close(self) -> None:
        """Ends listening, and removes the files of unix sockets."""
        for _, listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self._by_fd.clear()


def _fields(place: Place) -> dict[str, object]:
    return {"host": place.host, "port": place.port, "path": place.path}


def _place(listener: Listener) -> Place:
    return Place(**listener.opened)


def _remove_stale(path: str) -> None:
    """Removes the file of a unix socket on which no program listens: a killed program has left it behind."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            sock.setblocking(False)
            if sock.connect_ex(path) == errno.ECONNREFUSED:
                os.unlink(path)
