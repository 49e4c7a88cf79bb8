"""Joins and splits strings in SSH's format: the length in 4 bytes, then the bytes (RFC 4251, section 5)."""

from __future__ import annotations


def join(*strings: bytes) -> bytes:
    """Returns the strings joined, each with its length before it."""
    return b"".join(len(string).to_bytes(4, "big") + string for string in strings)


def split(data: bytes) -> tuple[bytes, bytes]:
    """Splits off the string at the start of `data`. Returns it and the bytes after it.

    Raises:
        ValueError: `data` is too short.
    """
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < max(4, end):
        raise ValueError("a string of SSH is cut off")
    return data[4:end], data[end:]
