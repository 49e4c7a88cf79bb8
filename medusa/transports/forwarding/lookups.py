"""Looks up names for many connections at once. Each name that is asked for has one helper process."""

from __future__ import annotations

import socket
import time
from typing import Callable, Dict, List, Tuple, Union

from medusa.transports.dial.lookup import lookup
from medusa.transports.dial.race import Address
from medusa.transports.steps import Steps, Wait, Work

MAX_LOOKUPS = 8
"""The most helper processes that look up names at once. Further names wait."""

MAX_KNOWN = 256
"""The most names whose addresses are kept."""

KNOWN_TIMEOUT, UNKNOWN_TIMEOUT = 10.0, 1.0
"""For how many seconds the addresses of a name are used again, and the failure of a lookup."""

_LOOPBACK = (Address(socket.AF_INET6, ("::1", 0, 0, 0)), Address(socket.AF_INET, ("127.0.0.1", 0)))

Found = Union[List[Address], Exception]


class Lookups:
    """Looks up names, and keeps their addresses for a short time.

    Args:
        clock: a function that returns monotonic seconds.
        start: a function that begins to look up a name; see `lookup`.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[str, int, float], Steps[List[Address]]] = lookup,
    ) -> None:
        self._clock, self._start = clock, start
        self._works: Dict[str, Work[List[Address]]] = {}
        self._known: Dict[str, Tuple[float, Found]] = {}
        self._waiting = 0

    def find(self, host: str, port: int, deadline: float) -> Steps[List[Address]]:
        """Returns the addresses of `host`, with `port`. `localhost` is not looked up: it is ::1 and 127.0.0.1.

        Args:
            deadline: the latest end, as a time of `clock`.

        Raises:
            OSError: the host is unknown, or the lookup has not ended before `deadline` (socket.timeout).
            ValueError: `host` cannot be a name.
        """
        found: Found = list(_LOOPBACK)
        if host.lower().rstrip(".") != "localhost":
            self._waiting += 1
            try:
                found = yield from self._find(host, deadline)
            finally:
                self._waiting -= 1
                if not self._waiting:
                    self._give_up()
        if isinstance(found, Exception):
            raise found
        return [Address(family, (address[0], port, *address[2:])) for family, address in found]

    def _find(self, host: str, deadline: float) -> Steps[Found]:
        while True:
            now = self._clock()
            until, found = self._known.get(host, (now, []))
            if until > now:
                return found
            if now >= deadline:
                return socket.timeout("the lookup of the name timed out")
            if host not in self._works and len(self._works) < MAX_LOOKUPS:
                self._works[host] = Work(self._start(host, 0, deadline))
                self._step({})
                continue
            wanted = {fd: mask for work in self._works.values() for fd, mask in work.wanted.items()}
            self._step((yield Wait(wanted, min(deadline, *(work.until for work in self._works.values())))))

    def _step(self, events: Dict[int, int]) -> None:
        for host, work in list(self._works.items()):
            try:
                found: Union[Found, None] = work.step(events, self._clock())
            except (OSError, ValueError) as error:
                found = error
            if found is not None:
                del self._works[host]
                keep = UNKNOWN_TIMEOUT if isinstance(found, Exception) else KNOWN_TIMEOUT
                while len(self._known) >= MAX_KNOWN:
                    del self._known[next(iter(self._known))]
                self._known[host] = (self._clock() + keep, found)

    def _give_up(self) -> None:
        """Ends the lookups, because nobody waits for them any more."""
        for work in self._works.values():
            work.close()
        self._works.clear()
