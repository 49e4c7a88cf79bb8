"""Dialling the reflector, again and again for a while: it may start later than the job, or be restarted just now."""

from __future__ import annotations

import os
import time
from typing import Callable
from urllib.parse import urlsplit

from medusa.transports.base import Transport
from medusa.transports.connect import connect
from medusa.transports.dial import ConnectRefused

FIRST_INTERVAL = 0.25
"""Seconds between the first two attempts, on average; it doubles with each further attempt."""
LONGEST_INTERVAL = 8.0
"""Seconds between two attempts at the most, on average."""
CONNECT_TIMEOUT = 15.0
"""Seconds, of one attempt."""


class Unreachable(Exception):
    """No attempt has made a link, and no further one will be made. The text is the last refusal."""


def public_part(url: str) -> str:
    """Scheme, host and path of a URL, which may be shown. Its query and its password are credentials."""
    parts = urlsplit(url)
    return "%s://%s%s" % (parts.scheme, parts.netloc.rpartition("@")[2], parts.path)


def dial(
    attempt: Callable[[], Transport],
    retry_for: float,
    log: Callable[[str], None],
    jitter: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """Call `attempt` until it returns a transport.

    Args:
        retry_for: seconds after which a refusal is final. The first attempt is made in any case.
        jitter: returns a random number in [0, 1), so that agents that lost the same reflector do not dial in step.

    Raises:
        Unreachable: a refusal is final, by its nature or by `retry_for`.
    """
    give_up = clock() + retry_for
    interval = FIRST_INTERVAL
    while True:
        try:
            return attempt()
        except ConnectRefused as refused:
            reason = describe(refused)
            pause = interval * (0.5 + jitter())
            if not refused.retryable or clock() + pause > give_up:
                raise Unreachable(reason) from None
            log("not connected: %s; next try in %.1f s" % (reason, pause))
        sleep(pause)
        interval = min(2 * interval, LONGEST_INTERVAL)


def describe(refused: ConnectRefused) -> str:
    """A refusal in words, with its status."""
    return "%s (status %d)" % (refused, refused.status) if refused.status else str(refused)


def connector(url: str, insecure_tls: bool, timeout: float = CONNECT_TIMEOUT) -> Callable[[], Transport]:
    """One attempt, as a function without arguments."""
    return lambda: connect(url, insecure_tls=insecure_tls, timeout=timeout)


def jitter() -> float:
    """A random number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536
