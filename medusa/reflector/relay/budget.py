"""Limits the memory that this process holds for its peers: one budget for all, and a share of it for each login.

A login is the name of an account. Peers without a login have a share for each address. Two things are counted: the
bytes of unfinished messages, and the bytes that wait because a peer does not read them. No I/O and no clock.

A share, or the whole budget, is tight (short of memory) if more than half of it is used. While a share is tight, each
of its connections is read in small pieces, and large frames are forwarded piece by piece. So little more memory is
needed. Only a message in fragments still needs more memory, because its fragments have to be put together first. If
there is no memory left for a message, the message is refused.
"""

from __future__ import annotations

import math
from weakref import WeakValueDictionary

_TOO_MUCH = "what is unfinished here takes too much memory (--%s)"


class Budget:
    """Counts the bytes that one process holds for all its peers, and limits them.

    Args:
        limit: the most bytes in all; 0 for no limit.
        limit_per_name: the most bytes for one login, or for one address without a login; 0 for no limit.

    Attributes:
        used: the number of bytes that are held now.
        refusals: how often a Share of this budget has refused to count more bytes, because they exceeded a limit.
    """

    def __init__(self, limit: int = 0, limit_per_name: int = 0) -> None:
        self.used = 0
        self.refusals = 0
        self._limit = limit or math.inf
        self._limit_per_name = limit_per_name or math.inf
        self._tight = False
        self._shares: WeakValueDictionary[tuple[bool, str], Share] = WeakValueDictionary()

    def share(self, *, login: str = "", address: str = "") -> Share:
        """Returns the share of `login`. If `login` is "", returns the share of `address`."""
        key = (bool(login), login or address)
        found = self._shares.get(key)
        if found is None:
            found = self._shares[key] = Share(self, self._limit_per_name, self._tight)
        return found

    def takes(self, size: int) -> bool:
        """Returns True if `size` more bytes do not exceed the limit for all peers."""
        return self.used + size <= self._limit

    def add(self, size: int) -> None:
        """Adds `size` to the number of bytes held for all peers. `size` may be negative. Does not check the limit."""
        self.used += size
        tight = is_tight(self.used, self._limit, self._tight)
        if tight is not self._tight:
            self._tight = tight
            for share in list(self._shares.values()):
                share.note_whole(tight)


class Share:
    """Counts the bytes that are held for one login, or for one address without a login. Get it from `Budget.share`.

    Attributes:
        used: the number of bytes that are held now.
        tight: True if this share, or the whole budget, is short of memory. Then connections should hold few bytes.
    """

    def __init__(self, budget: Budget, limit: float, tight: bool) -> None:
        self.used = 0
        self.tight = tight
        self._budget = budget
        self._limit = limit
        self._own, self._whole = False, tight

    def take(self, size: int) -> str:
        """Counts `size` more bytes and returns "". If they would exceed a limit, counts none and returns the reason."""
        option = "max-held-per-login" if self.used + size > self._limit else ""
        if not option and not self._budget.takes(size):
            option = "max-held"
        if option:
            self._budget.refusals += 1
            return _TOO_MUCH % option
        self.add(size)
        return ""

    def add(self, size: int) -> None:
        """Adds `size` to the number of bytes that are held now. `size` may be negative.

        Does not check the limits, because the bytes are held already.
        """
        self.used += size
        self._own = is_tight(self.used, self._limit, self._own)
        self._budget.add(size)
        self.tight = self._own or self._whole

    def note_whole(self, tight: bool) -> None:
        """Notes whether the whole budget is tight (short of memory). If it is, this share is tight as well."""
        self._whole = tight
        self.tight = self._own or tight


def is_tight(used: int, limit: float, before: bool) -> bool:
    """Returns True if more than half of `limit` is used. If `before` is True, more than a quarter is enough.

    `before`: the result of the last call for the same limit. Two different bounds keep the result from changing often.
    """
    return used > limit / (4 if before else 2)
