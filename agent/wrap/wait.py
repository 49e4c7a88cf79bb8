"""Waits for a client after a step has failed: dials the reflector at intervals, until a client is there."""

from __future__ import annotations

import time
from typing import Callable

from agent.dial.announce import describe
from agent.dial.first import Unreachable
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused

DIAL_INTERVAL = 3.0
"""Seconds between two attempts, while the reflector answers that no client is there."""
LONGEST_INTERVAL = 12.0
"""The maximum of the seconds between two attempts. The interval doubles when an attempt fails in another way."""
UNREACHABLE_TIMEOUT = 90.0
"""Seconds without any answer from the reflector after which the agent gives up.

A job should not occupy a machine while the reflector is down.
"""

LOG_INTERVAL = 60.0
"""Seconds between two log lines about the time that is left."""

NO_CLIENT = (404, 409)
"""The HTTP statuses that the reflector sends an agent whose session has no client, or has one that is leaving."""


def wait_for_client(
    attempt: Callable[[float], Transport],
    seconds: float,
    log: Callable[[str], None],
    jitter: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """Calls `attempt` again and again until it returns a transport. Returns this transport.

    Args:
        attempt: a function that makes one attempt to dial. Its argument is the number of seconds that are left.
        seconds: how long to wait for a client.
        log: a function that logs one line.
        jitter: a function that returns a random number of seconds in [0, 1), so that agents dial at different times.

    Raises:
        Unreachable: no client came in time, the reflector did not answer, or a further attempt would fail too.
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
            no_client = refused.status in NO_CLIENT
            interval = DIAL_INTERVAL if no_client else min(2 * interval, LONGEST_INTERVAL)
            pause = max(interval, refused.retry_after) + jitter()
        sleep(min(pause, over - now))
        now = clock()
        if now >= log_at and now < over:
            log("holding for another %.0f s" % (over - now))
            log_at += LOG_INTERVAL


def _reason(refused: ConnectRefused, known: str, log: Callable[[str], None]) -> str:
    """Returns in words why the attempt has failed; "" if it has failed only because no client is there yet.

    Logs the words if they differ from `known`.

    Args:
        refused: the error of the attempt.
        known: the reason that this function returned for the previous attempt.

    Raises:
        Unreachable: further attempts would fail too.
    """
    if not refused.retryable:
        raise Unreachable(describe(refused)) from None
    reason = "" if refused.status in NO_CLIENT else describe(refused)
    if reason and reason != known:
        log("not connected: %s; holding all the same" % reason)
    return reason
