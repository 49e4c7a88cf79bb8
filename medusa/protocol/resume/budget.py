"""Counts bytes against a limit. A budget may be a part of another one, such as that of all streams of an agent."""

from __future__ import annotations

from typing import Optional


class Budget:
    """A limit of bytes, and how many of them are used.

    Args:
        whole: a larger budget, of which this one is a part. Bytes that this budget uses are also counted there.
    """

    def __init__(self, limit: int, whole: Optional[Budget] = None) -> None:
        self.limit = limit
        self.used = 0
        self._whole = whole

    @property
    def free(self) -> int:
        """The number of bytes that may still be used: of this budget, and of the whole."""
        free = self.limit - self.used
        return free if self._whole is None else min(free, self._whole.free)

    def leave(self) -> None:
        """Ends being a part of the larger budget `whole`: the bytes used here do not count there any more."""
        if self._whole is not None:
            self._whole.use(-self.used)
            self._whole = None

    def use(self, size: int) -> None:
        """Uses `size` bytes more, or gives them back if `size` is negative."""
        self.used += size
        if self._whole is not None:
            self._whole.use(size)
