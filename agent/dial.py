"""Reaching the reflector. The job may be up before its reflector, or find it between two of its lives."""

from __future__ import annotations

import os
import time
from typing import Callable
from urllib.parse import urlsplit

from medusa.transports.base import Transport
from medusa.transports.connect import connect
from medusa.transports.dial import ConnectRefused

FIRST_DELAY = 0.25
LONGEST_DELAY = 8.0
CONNECT_TIMEOUT = 15.0


class Unreachable(Exception):
    """The reflector refused for good or for too long; the text says what it said last."""


def where(url: str) -> str:
    """Scheme, host and path of a URL: what may be shown. Its query is a credential, and so is a password."""
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
    """Call `attempt` until it gives a transport.

    Args:
        retry_for: seconds after which a refusal is final. The first attempt is made in any case.
        jitter: a random number in [0, 1): agents that lost the same reflector must not come back in step.

    Raises:
        Unreachable
    """
    give_up = clock() + retry_for
    delay = FIRST_DELAY
    while True:
        try:
            return attempt()
        except ConnectRefused as refused:
            reason = describe(refused)
            pause = delay * (0.5 + jitter())
            if not refused.retryable or clock() + pause > give_up:
                raise Unreachable(reason) from None
            log("not connected: %s; next try in %.1f s" % (reason, pause))
        sleep(pause)
        delay = min(2 * delay, LONGEST_DELAY)


def describe(refused: ConnectRefused) -> str:
    """The refusal in words."""
    return "%s (status %d)" % (refused, refused.status) if refused.status else str(refused)


def connector(url: str, insecure_tls: bool, timeout: float = CONNECT_TIMEOUT) -> Callable[[], Transport]:
    """One attempt, as a function without arguments."""
    return lambda: connect(url, insecure_tls=insecure_tls, timeout=timeout)


def jitter() -> float:
    """A random number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536
