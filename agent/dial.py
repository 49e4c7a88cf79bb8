"""Dials the reflector: for the session's first link, and for one more link for each client that joins.

The first link is tried again and again for a while, because the reflector may start later than the job, or be
restarting. Each further link is tried once.
"""

from __future__ import annotations

import math
import os
import time
from typing import Callable, Dict, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from agent.about import about_agent
from medusa.protocol.features import ABOUT, CALL, HEADER, LEG
from medusa.protocol.http.about import build
from medusa.protocol.http.own_header import Field
from medusa.transports.base import Transport
from medusa.transports.connect import connect, connect_steps
from medusa.transports.dial import ConnectRefused
from medusa.transports.dial.headers import NO_HEADERS, HeaderError, Headers
from medusa.transports.steps import Steps, Wait

FIRST_INTERVAL = 0.25
"""Seconds between the first two attempts, on average; it doubles with each further attempt."""
LONGEST_INTERVAL = 8.0
"""The maximum of the seconds between two attempts, on average."""
CONNECT_TIMEOUT = 15.0
"""Seconds after which one attempt is given up."""
LEG_TIMEOUT = 20.0
"""Seconds after which the dialling of a leg (a link for a client that joins) is given up.

After this time, the reflector does not wait for the leg either.
"""
MAX_DIALLED = 16
"""The most legs (links for clients that join) that are dialled at once. Further ones wait.

There is a limit because each needs a descriptor, and maybe a process.
"""
MAX_LEGS = 256
"""The most legs (links for clients that join) that are dialled or wait for their turn. Further ones are not dialled."""


class Unreachable(Exception):
    """No attempt has connected the agent to the reflector, and there will be no further attempt.

    The text describes the last refusal.
    """


def public_part(url: str) -> str:
    """Returns scheme, host and path of a URL: the part that may be shown. Query and password are credentials."""
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
    """Calls `attempt` until it returns a transport, which `dial` returns.

    After a refusal with Retry-After, it waits at least that number of seconds. If the number exceeds what is left of
    `retry_for`, it waits only until the end of `retry_for`, and makes one more attempt then.

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


def describe(refused: ConnectRefused) -> str:
    """Returns a text that describes the refusal, with its HTTP status if it has one."""
    return "%s (status %d)" % (refused, refused.status) if refused.status else str(refused)


def connector(
    url: str,
    insecure_tls: bool,
    timeout: float = CONNECT_TIMEOUT,
    headers: Headers = NO_HEADERS,
) -> Callable[[], Transport]:
    """Returns a function without arguments that makes one attempt to dial `url`.

    The function returns the transport, or raises ConnectRefused.

    Args:
        timeout: seconds for one attempt.
        headers: the header fields to send in addition to those of `announced`.
    """

    def attempt() -> Transport:
        try:
            fields = headers.read()
        except HeaderError as error:
            raise ConnectRefused(str(error), retryable=error.retryable) from None
        return connect(url, insecure_tls=insecure_tls, timeout=timeout, headers=[*fields, *announced()])

    return attempt


def announced() -> List[Field]:
    """Returns the header fields by which the agent tells the reflector about itself, on each of its links."""
    about = build(about_agent(os.environ, os.uname().nodename))
    return [(HEADER, CALL), *([(ABOUT, about)] if about else [])]


def jitter() -> float:
    """Returns a random number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536


class LegDialer:
    """Dials the reflector for legs: one more link for each client that joins the session. Never blocks.

    In each round of its loop, the caller polls for what `wanted` returns, until `deadline` at most, and calls `step`.

    Args:
        url: the URL of the agent's first link. Legs are dialled without its query, which holds the signature.
        insecure_tls: True to accept any certificate.
        log: a function that logs one line.
        headers: the header fields to send in addition. They may come from files or from a command. These are read, and
            the command is run, anew for each leg.
    """

    def __init__(
        self,
        url: str,
        insecure_tls: bool,
        log: Callable[[str], None],
        headers: Headers = NO_HEADERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._insecure_tls = public_part(url), insecure_tls
        self._log, self._headers, self._clock = log, headers, clock
        self._legs: Dict[str, _Leg] = {}  # by id; the first MAX_DIALLED are dialled, and the others wait
        self._last_failure = ""

    def begin(self, leg: str) -> None:
        """Has `step` dial the leg with this id. Does nothing if it is being dialled already."""
        if leg in self._legs:
            return
        if len(self._legs) >= MAX_LEGS:
            self._failed("too many are being dialled")
            return
        self._legs[leg] = _Leg(self._dial(leg, self._clock() + LEG_TIMEOUT))

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        return {fd: mask for _, leg in self._dialled() for fd, mask in leg.wait.events.items()}

    def deadline(self) -> Optional[float]:
        """Returns the time of `clock` at which `step` must be called even without an event; None if there is none."""
        return min((leg.wait.until for _, leg in self._dialled()), default=None)

    def step(self, events: Mapping[int, int]) -> List[Transport]:
        """Goes on with each leg that has events, or whose time has come. Returns the links that are open now.

        Args:
            events: the events that have come, by descriptor. There may be other descriptors among them.
        """
        opened, now = [], self._clock()
        for name, leg in self._dialled():
            found = {fd: events[fd] for fd in leg.wait.events if events.get(fd)}
            if not found and now < leg.wait.until:
                continue
            try:
                leg.go_on(found)
            except StopIteration as end:
                opened.append(end.value)
                self._last_failure = ""
            except ConnectRefused as refused:
                self._failed(describe(refused))
            else:
                continue
            del self._legs[name]
        return opened

    def close(self) -> None:
        """Gives up all legs that are being dialled."""
        for leg in self._legs.values():
            leg.steps.close()
        self._legs.clear()

    def _dialled(self) -> List[Tuple[str, _Leg]]:
        return list(self._legs.items())[:MAX_DIALLED]

    def _dial(self, leg: str, deadline: float) -> Steps[Transport]:
        try:
            fields = yield from self._headers.read_steps(deadline)
        except HeaderError as error:
            raise ConnectRefused(str(error)) from None
        fields = [*fields, *announced(), (LEG, leg)]
        insecure, clock = self._insecure_tls, self._clock
        return (yield from connect_steps(self._url, deadline, insecure_tls=insecure, headers=fields, clock=clock))

    def _failed(self, why: str) -> None:
        if why != self._last_failure:
            self._log("not connected for one more client: %s" % why)
        self._last_failure = why


class _Leg:
    """A leg (a link for a client that joins) that is dialled in steps.

    `wait` says what the leg waits for. At first this is nothing: `step` may begin at once.
    """

    def __init__(self, steps: Steps[Transport]) -> None:
        self.steps = steps
        self.wait = Wait({}, -math.inf)
        self._begun = False

    def go_on(self, events: Dict[int, int]) -> None:
        """Makes the next step. Raises ConnectRefused, or StopIteration, whose value is the open link."""
        begun, self._begun = self._begun, True
        self.wait = self.steps.send(events) if begun else next(self.steps)
