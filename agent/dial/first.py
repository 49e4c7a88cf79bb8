"""Dials the reflector for the session's first link, again and again for a while.

The reflector may start later than the job, or be restarting.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Optional

from agent.dial.announce import Holding, announced, describe
from medusa.transports.base import Transport
from medusa.transports.connect import connect
from medusa.transports.dial import ConnectRefused
from medusa.transports.dial.headers import NO_HEADERS, HeaderError, Headers

FIRST_INTERVAL = 0.25
"""Seconds between the first two attempts, on average; it doubles with each further attempt."""
LONGEST_INTERVAL = 8.0
"""The maximum of the seconds between two attempts, on average."""
CONNECT_TIMEOUT = 15.0
"""Seconds after which one attempt is given up."""


class Unreachable(Exception):
    """Raised if the agent got no link, and will not dial the reflector again. The text says why."""


def dial(
    attempt: Callable[[], Transport],
    retry_for: float,
    log: Callable[[str], None],
    jitter: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """Calls `attempt` again and again until it returns a transport. Returns this transport.

    If a refusal has a Retry-After, waits at least that number of seconds before the next attempt. If `retry_for` ends
    sooner, makes one last attempt when it ends.

    Args:
        attempt: a function that makes one attempt; raises ConnectRefused if the attempt fails.
        retry_for: seconds after which to give up. The first attempt is made in any case.
        log: a function that logs one line.
        jitter: a function that returns a random number in [0, 1), so that agents that lost the same reflector dial at
            different times.

    Raises:
        Unreachable: an attempt failed, and another would fail too or would be too late.
    """
    give_up = clock() + retry_for
    interval = FIRST_INTERVAL
    while True:
        try:
            return attempt()
        except ConnectRefused as refused:
            reason = describe(refused)
            pause, left = interval * (0.5 + jitter()), give_up - clock()
            if not refused.retryable or pause > left:
                raise Unreachable(reason) from None
            # Many agents may get the same Retry-After. The jitter in `pause` makes them dial at different times. The
            # last attempt is made when `retry_for` is over.
            pause = min(pause + refused.retry_after, left)
            log("not connected: %s; next try in %.1f s" % (reason, pause))
        sleep(pause)
        interval = min(2 * interval, LONGEST_INTERVAL)


def connector(
    url: str,
    insecure_tls: bool,
    timeout: float = CONNECT_TIMEOUT,
    headers: Headers = NO_HEADERS,
    holding: Optional[Holding] = None,
) -> Callable[[], Transport]:
    """Returns a function without arguments that makes one attempt to dial `url`.

    The function returns the transport, or raises ConnectRefused.

    Args:
        insecure_tls: True to accept any certificate.
        timeout: seconds for one attempt.
        headers: the header fields to send in addition to those by which the agent describes itself.
        holding: the request to hold the session; None if the session is not to be held.
    """

    def attempt() -> Transport:
        try:
            fields = headers.read()
        except HeaderError as error:
            raise ConnectRefused(str(error), retryable=error.retryable) from None
        return connect(url, insecure_tls=insecure_tls, timeout=timeout, headers=[*fields, *announced(holding)])

    return attempt


def jitter() -> float:
    """Returns a random number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536
