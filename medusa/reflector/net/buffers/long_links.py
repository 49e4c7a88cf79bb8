"""Chooses the buffers of each link, and keeps what the kernel holds for all long links within a limit."""

from __future__ import annotations

import contextlib
import socket
import weakref
from collections import deque
from typing import Any

import gevent

from medusa.reflector.net.buffers.kernel import fix, held, let_grow, round_trip
from medusa.reflector.net.buffers.sizes import MOST_HELD, is_short, to_fix

INTERVAL = 1.0
"""Seconds between two looks at what the kernel holds for long links."""

MOST_AT_ONCE = 500
"""The maximum number of links in one look. So a look takes less than a millisecond, however many links are long."""


class LongLinks:
    """The links of this process whose buffers have no fixed size, and what the kernel holds for them.

    Args:
        limit: the most bytes that the kernel may hold for all of them. If it holds more, links get small buffers, those
            that hold the most first.
    """

    def __init__(self, limit: int = MOST_HELD) -> None:
        self._limit = limit
        self._socks: deque[weakref.ref[socket.socket]] = deque()
        self._held: deque[int] = deque()  # what each of them held when it was looked at
        self._timer: Any = None

    def __len__(self) -> int:
        return len(self._socks)

    def fit(self, sock: socket.socket) -> None:
        """Chooses the buffers of a TCP connection by its round trip. Leaves sockets of other kinds as they are.

        If the round trip is not known yet, `look` chooses them later.

        Call this once, when the peer has been let in. Before that, the kernel's own sizes are small enough.
        """
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        with contextlib.suppress(OSError):  # some systems set no option of a connection that was reset
            if is_short(round_trip(sock)):
                fix(sock)
                return
            let_grow(sock)
        self._socks.append(weakref.ref(sock))
        self._held.append(0)
        if self._timer is None:
            self._timer = gevent.get_hub().loop.timer(INTERVAL, repeat=INTERVAL, ref=False)
            self._timer.start(self.look)

    def look(self) -> None:
        """Looks at what the kernel holds for MOST_AT_ONCE links, those that were not looked at for longest.

        Keeps the limit. Forgets links that are closed, and those that have turned out to be short.
        """
        for _ in range(min(MOST_AT_ONCE, len(self._socks))):
            found = self._socks.popleft()
            self._held.popleft()
            sock = found()
            if sock is None or sock.fileno() < 0:
                continue
            if is_short(round_trip(sock)):
                fix(sock)
            else:
                self._socks.append(found)
                self._held.append(held(sock))
        for number in sorted(to_fix(self._held, self._limit), reverse=True):
            sock = self._socks[number]()
            if sock is not None and sock.fileno() >= 0:
                fix(sock)
            del self._socks[number], self._held[number]
        if not self._socks:
            self.clear()

    def clear(self) -> None:
        """Forgets all links, and looks no more until another one comes."""
        self._socks.clear()
        self._held.clear()
        if self._timer is not None:
            self._timer.close()
            self._timer = None


links = LongLinks()
"""The long links of this process."""
