"""The last output of a step, and its form for a terminal."""

from __future__ import annotations

import re

LIMIT = 64 * 1024
"""Bytes."""


class Tail:
    """Keeps the last `limit` bytes of a stream of any length."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._cut = False

    def add(self, data: bytes) -> None:
        """Add what the step wrote next."""
        self._kept += data[-self._limit :]
        self._cut = self._cut or len(data) > self._limit
        if len(self._kept) >= 2 * self._limit:  # not at each call, as that moves all that is left
            self._trim()

    def bytes(self) -> bytes:
        """The last bytes, from the beginning of a line if they hold one."""
        if len(self._kept) > self._limit:
            self._trim()
        kept = bytes(self._kept)
        return kept[kept.find(b"\n") + 1 :] or kept if self._cut else kept

    def _trim(self) -> None:
        del self._kept[: -self._limit]
        self._cut = True


def format_tail(output: bytes, title: str) -> bytes:
    """`output` for a terminal in raw mode, between two lines with dashes. `title` must hold no control characters."""
    body = re.sub(rb"(?<!\r)\n", b"\r\n", output)
    if b"\x1b" in output:
        body += b"\x1b[m"  # a colour that the output does not reset must not become the shell's
    if output and not output.endswith(b"\n"):
        body += b"\r\n"
    return b"--- last output of: %s\r\n%s---\r\n" % (title.encode("utf-8", "backslashreplace"), body)
