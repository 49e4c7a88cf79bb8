"""Waiting for a client after a step has failed: the reflector is dialled at intervals, until one is there."""

from __future__ import annotations

import time
from typing import Callable

from agent.dial import Unreachable, describe
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused

DIAL_INTERVAL = 3.0
"""Seconds between two attempts, while the reflector answers that no client is there."""
LONGEST_INTERVAL = 12.0
"""Seconds between two attempts at the most; the interval doubles with each other answer."""
UNREACHABLE_TIMEOUT = 90.0
"""Seconds without any answer after which to give up, so as not to occupy a machine while the reflector is down."""
LOG_INTERVAL = 60.0
"""Seconds between two log lines about the time that is left."""

NO_CLIENT = 404
"""The reflector's status for an agent whose session has no client."""


def wait_for_client(
    attempt: Callable[[float], Transport],
    seconds: float,
    log: Callable[[str], None],
    jitter: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """Call `attempt`, with the seconds that are left, until it returns a transport.

    Args:
        seconds: how long to wait.
        jitter: a random number in [0, 1), in seconds, so that agents do not dial in step.

    Raises:
        Unreachable: no client came, or none can come.
    """
    now = clock()
    over, log_at, interval = now + seconds, now + LOG_INTERVAL, DIAL_INTERVAL
    answered, reason = now, ""
    while True:
        try:
            return attempt(over - now)
        except ConnectRefused as refused:
            now = clock()
            answered = answered if refused.status is None else now
            reason = _reason(refused, reason, log)
            if now >= over:
                raise Unreachable(reason or "nobody came in %.0f s" % seconds) from None
            if now - answered >= UNREACHABLE_TIMEOUT:
                raise Unreachable(reason) from None
            no_client = refused.status == NO_CLIENT
            interval = DIAL_INTERVAL if no_client else min(2 * interval, LONGEST_INTERVAL)
        sleep(min(interval + jitter(), over - now))
        now = clock()
        if now >= log_at and now < over:
            log("holding for another %.0f s" % (over - now))
            log_at += LOG_INTERVAL


def _reason(refused: ConnectRefused, known: str, log: Callable[[str], None]) -> str:
    """Why there is no link; empty if no client is there. Logs a reason that is not the `known` one."""
    if not refused.retryable:
        raise Unreachable(describe(refused)) from None
    reason = "" if refused.status == NO_CLIENT else describe(refused)
    if reason and reason != known:
        log("not connected: %s; holding all the same" % reason)
    return reason
