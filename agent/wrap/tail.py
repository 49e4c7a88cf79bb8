"""Keeps the last output of a step, and formats it for a terminal."""

from __future__ import annotations

import re

LIMIT = 64 * 1024
"""The number of bytes of output that are kept."""


class Tail:
    """The last `limit` bytes of a stream of any length."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._cut = False

    def add(self, data: bytes) -> None:
        """Adds the bytes that the step wrote next."""
        self._kept += data[-self._limit :]
        self._cut = self._cut or len(data) > self._limit
        if len(self._kept) >= 2 * self._limit:  # rarely, because it moves all bytes that are left
            self._trim()

    def bytes(self) -> bytes:
        """Returns the last bytes. If earlier bytes were dropped, leaves out the line that has lost its beginning.

        If there is only this line, returns it.
        """
        if len(self._kept) > self._limit:
            self._trim()
        kept = bytes(self._kept)
        return kept[kept.find(b"\n") + 1 :] or kept if self._cut else kept

    def _trim(self) -> None:
        del self._kept[: -self._limit]
        self._cut = True


def format_tail(output: bytes, title: str) -> bytes:
    """Returns `output`, prepared for a terminal in raw mode, between two lines of dashes.

    Args:
        title: is shown in the first line. It must contain no control characters.
    """
    body = re.sub(rb"(?<!\r)\n", b"\r\n", output)
    if b"\x1b" in output:
        body += b"\x1b[m"  # if the output does not reset its colour, the shell must not get that colour
    if output and not output.endswith(b"\n"):
        body += b"\r\n"
    return b"--- last output of: %s\r\n%s---\r\n" % (title.encode("utf-8", "backslashreplace"), body)
