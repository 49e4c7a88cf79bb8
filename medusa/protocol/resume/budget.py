"""Counts bytes against a limit.

A budget may be a part of a larger one, such as the budget of all streams of an agent.
"""

from __future__ import annotations

from typing import Optional


class Budget:
    """A limit of bytes, and the number of bytes that are used.

    Args:
        limit: the most bytes that may be used.
        whole: a larger budget, of which this one is a part. Bytes that this budget uses are also counted there.
    """

    def __init__(self, limit: int, whole: Optional[Budget] = None) -> None:
        self.limit = limit
        self.used = 0
        self._whole = whole

    @property
    def free(self) -> int:
        """The number of bytes that may still be used without exceeding this budget or the larger one."""
        free = self.limit - self.used
        return free if self._whole is None else min(free, self._whole.free)

    def leave(self) -> None:
        """Leaves the larger budget `whole`: bytes that this budget uses are not counted there any more."""
        if self._whole is not None:
            self._whole.use(-self.used)
            self._whole = None

    def use(self, size: int) -> None:
        """Counts `size` more bytes as used; gives bytes back if `size` is negative. Does not check the limit."""
        self.used += size
        if self._whole is not None:
            self._whole.use(size)
