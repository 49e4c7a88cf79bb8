"""A short text in memory that a process shares with its forked child. The text outlives the process."""

from __future__ import annotations

import mmap


class Note:
    """A short text in memory that this process shares with a forked child.

    The child can still read the text after this process was killed.
    """

    _SIZE = 1024

    def __init__(self) -> None:
        # Two places: a text is written to the one that is not valid, and then becomes valid by one byte.
        self._memory = mmap.mmap(-1, 1 + 2 * self._SIZE)

    def write(self, text: bytes) -> None:
        """Replaces the whole text by `text`. A reader gets either the old or the new text.

        `text` may have at most _SIZE - 2 bytes.
        """
        place = 1 - self._memory[0]
        start = 1 + place * self._SIZE
        whole = len(text).to_bytes(2, "big") + text
        self._memory[start : start + len(whole)] = whole
        self._memory[0] = place

    def read(self) -> bytes:
        """Returns the text that was written last."""
        start = 1 + self._memory[0] * self._SIZE
        length = int.from_bytes(self._memory[start : start + 2], "big")
        return self._memory[start + 2 : start + 2 + length]
