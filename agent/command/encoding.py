"""Converts command lines, variables and paths to the kernel's bytes, and back. These bytes need not be UTF-8."""

from __future__ import annotations


def to_bytes(text: str) -> bytes:
    """Encodes a text for the kernel, in UTF-8. os.fsencode would depend on the locale, and a job may have none."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """Decodes a text from the kernel: the inverse of `to_bytes`."""
    return data.decode("utf-8", "surrogateescape")
