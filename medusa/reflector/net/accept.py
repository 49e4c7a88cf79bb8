"""Accepts connections in a loop. The loop pauses while memory or file descriptors are too short for another one."""

from __future__ import annotations

import errno
import math
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import gevent
import structlog
from gevent.server import StreamServer

from medusa.reflector.net.fd_limit import check_room, first_reserved
from medusa.reflector.net.sockets import accept

log = structlog.get_logger(component="http")

SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

RETRY_INTERVAL = 0.25
"""Seconds of one pause. Connections that arrive meanwhile wait in the kernel's queue."""

MOST_AT_ONCE = 4
"""The maximum number of connections accepted, or taken over from another worker, in one iteration of the event loop.

A key of a session waits for all requests that begin in the same iteration, each of which takes about a millisecond.
"""

MOST_IDLE = 32
"""The maximum number of greenlets that wait for another connection. Each takes about 20 KiB."""

CALM_TIMEOUT = 2.0
"""If no pause begins for so many seconds, the log says that the shortage is over. One shortage has many pauses."""


class Greenlets:
    """Runs functions in greenlets, and uses the same greenlets again and again.

    A new greenlet takes memory from the system for its stack, and gives it back at its end. That costs more than what
    the greenlet itself does for a short request.
    """

    def __init__(self) -> None:
        self._idle: list[Any] = []
        self._hub: Any = gevent.get_hub()

    def spawn(self, function: Callable[..., object], *arguments: object) -> None:
        """Calls `function` with `arguments` in a greenlet, soon. Nothing can wait for this call, or end it."""
        if self._idle:
            self._hub.loop.run_callback(self._idle.pop().switch, (function, arguments))
        else:
            gevent.spawn_raw(self._run, function, arguments)

    def _run(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        while True:
            try:
                function(*arguments)
            except Exception:  # noqa: BLE001 - reported in the same way as from a greenlet that ends by it
                self._hub.handle_error(self, *sys.exc_info())  # without a context it would end the whole process
            del function, arguments
            if len(self._idle) >= MOST_IDLE:
                return
            self._idle.append(gevent.getcurrent())
            function, arguments = self._hub.switch()


class PausingServer(StreamServer):
    """A gevent server that accepts no connections while memory or file descriptors are short.

    gevent's own server would try to accept again and again, and log each failure.

    A subclass that serves HTTP inherits from gevent's WSGIServer too.

    Attributes:
        is_full: a function that is called before each connection is accepted. If it returns True, none is accepted in
            this iteration of the event loop.
        is_crowded: a function that returns True if `admit` would block.
        admit: a function that a request's greenlet calls before it answers the request. It may block for some time.
    """

    is_full: Callable[[], bool] = staticmethod(lambda: False)
    is_crowded: Callable[[], bool] = staticmethod(lambda: False)
    admit: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._paused = False
        self._held: Any = None  # the connection that was accepted when only the reserve of descriptors was left
        self._calm: Any = None  # the timer of CALM_TIMEOUT; None if there is no shortage
        settings["spawn"] = Greenlets().spawn
        super().__init__(*args, **settings)
        self.max_accept = min(self.max_accept, MOST_AT_ONCE)

    def do_read(self) -> Any:
        """Accepts one connection; gevent calls this. Returns (socket, address), or None if none was accepted."""
        if self.is_full():
            return None
        try:
            # A worker looks before it accepts, so that another one can have the connection.
            looks = self._paused or self.max_accept == 1
            if looks and _lowest_free(self.socket.fileno()) >= first_reserved():
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            connection = accept(self.socket) if self._held is None else self._take_held()
            self._paused = False
            self._held = connection
            if connection:
                check_room(connection[0].fileno())
            self._held = None
        except OSError as error:
            if error.errno not in SCARCE:
                raise
            self._pause(error)
            return None
        return connection

    def do_handle(self, *args: Any) -> None:
        """Serves an accepted connection in a new greenlet if `let_in` allows it. gevent calls this method.

        `args`: the socket and the address that `do_read` has returned.
        """
        place = self.let_in(*args)
        if place is not None:
            super().do_handle(*args, place)  # type: ignore[call-arg]

    def let_in(self, sock: Any, address: tuple[Any, ...]) -> Any:
        """Decides whether an accepted connection is served. Never blocks. A subclass implements this method.

        Returns a value that gevent then passes to the method `handle`, after the socket and the address. Returns None
        if the connection must not be served: then this method has closed it.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Stops listening, and closes a connection that is accepted but not served yet. gevent calls this method."""
        self._forget()
        if self._held is not None:
            self._held[0].close()
            self._held = None
        super().close()

    def _pause(self, error: OSError) -> None:
        if self._calm is None:
            log.warning("accepting paused", error=os.strerror(error.errno or 0))
        self._forget()
        self._calm = self.loop.timer(CALM_TIMEOUT)
        self._calm.start(self._resumed)
        self._paused = True
        self.stop_accepting()
        self._timer: Any = self.loop.timer(RETRY_INTERVAL)
        self._timer.start(self._go_on)

    def _go_on(self) -> None:
        self._start_accepting_if_started()  # type: ignore[attr-defined]
        if self._held is not None:
            self._do_read()  # type: ignore[attr-defined]

    def _take_held(self) -> Any:
        """Returns (socket, address) of the connection that was accepted, but not served because of a shortage.

        Duplicates the socket and closes the first one, because `check_room` has refused the first one's descriptor. The
        duplicate gets the lowest descriptor that is free now.
        """
        (sock, address), self._held = self._held, None
        return sock.replaced(), address

    def _resumed(self) -> None:
        self._forget()
        log.warning("accepting again")

    def _forget(self) -> None:
        if self._calm is not None:
            self._calm.close()
            self._calm = None


def _lowest_free(fd: int) -> float:
    """Returns the lowest free descriptor number; infinity if none is free. `fd`: any open descriptor."""
    try:
        free = os.dup(fd)
    except OSError:
        return math.inf
    socket.close(free)  # closes now; gevent's os.close waits for the next iteration of the event loop
    return free
