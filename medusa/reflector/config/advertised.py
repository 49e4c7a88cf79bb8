"""The form of the address at which other reflectors reach this one: HOST or HOST:PORT."""

from __future__ import annotations

import re

_ADVERTISE = re.compile(r"([A-Za-z0-9_.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?\Z")


def is_advertisable(text: str) -> bool:
    """Returns True if `text` is HOST or HOST:PORT. An IPv6 address without a port needs no brackets."""
    return _ADVERTISE.match(_bracketed(text)) is not None


def parse_advertised(text: str) -> tuple[str, str | None]:
    """Returns the host, as it is written in a URL, and the port of `text`. The port is None if `text` has none.

    Call this only if `is_advertisable` returns True for `text`.
    """
    match = _ADVERTISE.match(_bracketed(text))
    assert match is not None
    return match[1], match[2]


def _bracketed(host: str) -> str:
    """Returns `host` as it is written in a URL: an IPv6 address without brackets gets brackets."""
    return "[%s]" % host if host.count(":") > 1 and not host.startswith("[") else host
