"""Decides when to try each of a host's addresses, by RFC 8305 (Happy Eyeballs). No I/O.

If an attempt has no answer after 250 ms, the next attempt begins, and the first one goes on too. If an attempt fails,
the next one begins at once. The first attempt that succeeds wins.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

ATTEMPT_DELAY = 0.25
"""Seconds after which the next attempt begins, while the earlier ones go on (RFC 8305 section 5)."""

MAX_ADDRESSES = 20
"""The most addresses of one host that are tried, because each attempt needs a socket.

Without this limit, the owner of a name could make this program open any number of sockets.
"""


class Address(NamedTuple):
    """An address to connect to: the family, and the arguments of socket.connect for it."""

    family: int
    sockaddr: Tuple[Any, ...]

    @property
    def host(self) -> str:
        """The address as text, without the port."""
        return str(self.sockaddr[0])


def interleaved(addresses: Sequence[Address]) -> List[Address]:
    """Returns the addresses in the order of the attempts: IPv4 and IPv6 take turns, and each address occurs once.

    The order within a family, and which family is first, stay as given: the system has sorted them (RFC 6724).
    """
    families: List[List[Address]] = []
    for address in dict.fromkeys(addresses):
        for family in families:
            if family[0].family == address.family:
                family.append(address)
                break
        else:
            families.append([address])
    longest = max(map(len, families), default=0)
    return [family[n] for n in range(longest) for family in families if n < len(family)][:MAX_ADDRESSES]


class Race:
    """Decides the order and the times of the attempts.

    Args:
        addresses: the host's addresses, as the system has sorted them.
        delay: seconds between two attempts, if the earlier one is not answered.
    """

    def __init__(self, addresses: Sequence[Address], delay: float = ATTEMPT_DELAY) -> None:
        self._left = interleaved(addresses)
        self._delay = delay
        self._next_at = float("-inf")

    @property
    def left(self) -> Sequence[Address]:
        """The addresses that have not been tried yet."""
        return self._left

    def begin(self, now: float) -> Optional[Address]:
        """Returns the address to try now. None if the next attempt is not due yet, or if no address is left."""
        if not self._left or now < self._next_at:
            return None
        self._next_at = now + self._delay
        return self._left.pop(0)

    def failed(self) -> None:
        """Notes that an attempt has failed, so that the next attempt is due at once."""
        self._next_at = float("-inf")

    def next_at(self) -> float:
        """Returns the time at which the next attempt is due; infinity if no address is left."""
        return self._next_at if self._left else float("inf")
