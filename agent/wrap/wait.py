"""Holding a failed step: a session's place is asked for again and again, gently, until a client is there."""

from __future__ import annotations

import time
from typing import Callable

from agent.dial import Unreachable, describe
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused

PAUSE = 3.0
LONGEST_PAUSE = 12.0
UNREACHABLE_FOR = 90.0
"""Seconds without any answer after which the hold is given up: a machine is not kept for a service that is down."""
TELL_EVERY = 60.0
NOBODY = 404


def hold(
    attempt: Callable[[float], Transport],
    seconds: float,
    log: Callable[[str], None],
    jitter: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """Call `attempt`, with the seconds that are left, until it gives a transport.

    Raises:
        Unreachable: the hold is over, or will bring nothing.
    """
    now = clock()
    over, tell_at, pause = now + seconds, now + TELL_EVERY, PAUSE
    answered, reason = now, ""
    while True:
        try:
            return attempt(over - now)
        except ConnectRefused as refused:
            now = clock()
            answered = answered if refused.status is None else now
            reason = _judge(refused, reason, log)
            if now >= over:
                raise Unreachable(reason or "nobody came in %.0f s" % seconds) from None
            if now - answered >= UNREACHABLE_FOR:
                raise Unreachable(reason) from None
            pause = PAUSE if refused.status == NOBODY else min(2 * pause, LONGEST_PAUSE)
        sleep(min(pause + jitter(), over - now))
        now = clock()
        if now >= tell_at and now < over:
            log("holding for another %.0f s" % (over - now))
            tell_at += TELL_EVERY


def _judge(refused: ConnectRefused, known: str, log: Callable[[str], None]) -> str:
    """Why there is no link, if it is not that nobody is there; logged when it is another reason than before."""
    if not refused.retryable:
        raise Unreachable(describe(refused)) from None
    reason = "" if refused.status == NOBODY else describe(refused)
    if reason and reason != known:
        log("not connected: %s; holding all the same" % reason)
    return reason
