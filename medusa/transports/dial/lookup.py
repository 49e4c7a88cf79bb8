"""Looks up the addresses of a host, in limited time.

The system's lookup may block for half a minute, and no signal or deadline ends it. So a helper process looks up the
name.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, List

from medusa.transports.dial.race import Address
from medusa.transports.dial.target import ip_address
from medusa.transports.helper import ask_helper
from medusa.transports.steps import Steps

_MAX_FOUND = 200
"""The most addresses that the helper passes on."""

_LATE = "the lookup of the name timed out"


def lookup(host: str, port: int, deadline: float) -> Steps[List[Address]]:
    """Returns the addresses of `host`, which is a name or an address, in the order of the system's lookup.

    Args:
        deadline: the latest end, as a time of time.monotonic().

    Raises:
        OSError: the host is unknown, or the lookup has not ended before `deadline`.
        ValueError: `host` cannot be a name.
    """
    if host.lower() == "localhost.":
        host = host[:-1]  # glibc knows the name only without the dot
    if ip_address(host):  # no name has to be looked up, so nothing can block
        return addresses(host, port)
    host.encode("idna")
    try:
        answer = yield from ask_helper(lambda: _answer(host, port), deadline)
    except socket.timeout:
        raise socket.timeout(_LATE) from None
    # No answer: no helper could be started, or the helper has died, because some systems allow no lookup after a fork.
    return addresses(host, port) if answer is None else _parsed(answer)


def addresses(host: str, port: int) -> List[Address]:
    """Returns the addresses of `host`. Blocks as long as the system's lookup does. For the errors see `lookup`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(int(family), sockaddr) for family, _, _, _, sockaddr in found]


def _answer(host: str, port: int) -> Any:
    try:
        return addresses(host, port)[:_MAX_FOUND]
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, socket.gaierror) else None
        return {"code": code, "text": getattr(error, "strerror", None) or str(error)}


def _parsed(answer: Any) -> List[Address]:
    if isinstance(answer, dict):
        code, text = answer["code"], answer["text"]
        raise OSError(errno.EIO, text) if code is None else socket.gaierror(code, text)
    return [Address(family, tuple(sockaddr)) for family, sockaddr in answer]
