"""Looks up the addresses of a host, in limited time.

The system's lookup may block for half a minute, and no signal or deadline ends it. So a helper process looks up the
name, because a process can be killed. A thread cannot be killed, and a program with threads cannot fork safely.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import time
from typing import Any, List

from medusa.forked import blocked_signals, fork_helper
from medusa.transports.dial.answer import SIGNAL_LATENCY
from medusa.transports.dial.race import Address
from medusa.transports.dial.target import ip_address

_MAX_FOUND = 200
"""The most addresses that the helper passes on."""

_LATE = "the lookup of the name timed out"


def lookup(host: str, port: int, deadline: float) -> List[Address]:
    """Returns the addresses of `host`, which is a name or an address, as the system sorts them.

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
    return _ask(host, port, deadline)


def addresses(host: str, port: int) -> List[Address]:
    """Returns the addresses of `host`. Blocks as long as the system's lookup does. For the errors see `lookup`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(int(family), sockaddr) for family, _, _, _, sockaddr in found]


def _ask(host: str, port: int, deadline: float) -> List[Address]:
    data = _helpers_answer(host, port, deadline)
    # No data: no helper could be started, or the helper has died, because some systems allow no lookup after a fork.
    return _parsed(json.loads(data)) if data else addresses(host, port)


def _helpers_answer(host: str, port: int, deadline: float) -> bytes:
    """Has a helper process look up `host`. Returns the bytes that the helper writes.

    Returns b"" if the helper has died, or could not be started.

    The helper is killed at the deadline, or if the handler of a signal raises.
    """
    with blocked_signals() as restore:
        reader, writer = os.pipe()
        try:
            pid = fork_helper(lambda: _answer(writer, host, port), {writer})
        except OSError:
            os.close(reader)
            return b""
        finally:
            os.close(writer)
        try:
            restore()
            return _read(reader, deadline)
        finally:
            os.close(reader)
            _end(pid)


def _answer(writer: int, host: str, port: int) -> None:
    try:
        answer: Any = addresses(host, port)[:_MAX_FOUND]
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, socket.gaierror) else None
        answer = {"code": code, "text": getattr(error, "strerror", None) or str(error)}
    data = json.dumps(answer).encode("ascii")
    while data:
        data = data[os.write(writer, data) :]


def _parsed(answer: Any) -> List[Address]:
    if isinstance(answer, dict):
        code, text = answer["code"], answer["text"]
        raise OSError(errno.EIO, text) if code is None else socket.gaierror(code, text)
    return [Address(family, tuple(sockaddr)) for family, sockaddr in answer]


def _read(reader: int, deadline: float) -> bytes:
    """Returns all that comes from the pipe until its end. Raises socket.timeout at the deadline."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout(_LATE)
        if poll.poll(int(min(left, SIGNAL_LATENCY) * 1000) + 1):
            chunk = os.read(reader, 1 << 16)
            if not chunk:
                return data
            data += chunk


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # SIGCHLD is ignored, so the kernel has reaped the helper
