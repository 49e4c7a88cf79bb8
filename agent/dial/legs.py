"""Dials the reflector for further links, in steps that never block.

The agent needs a further link (a leg) for each client that joins the session. It also dials again if it has lost its
home link, by which the reflector calls it.
"""

from __future__ import annotations

import time
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from agent.dial.announce import describe, features, public_part
from medusa.protocol.features import LEG
from medusa.protocol.http.own_header import Field
from medusa.transports.base import Transport
from medusa.transports.connect import connect_steps
from medusa.transports.dial import ConnectRefused
from medusa.transports.dial.headers import NO_HEADERS, HeaderError, Headers
from medusa.transports.steps import Steps, Wait, Work

LEG_TIMEOUT = 20.0
"""Seconds after which the dialling of a leg (a link for a client that joins) is given up.

After this time, the reflector does not wait for the leg either.
"""
RETRY_INTERVAL = 0.25
"""Seconds until a leg is dialled again after the connection has failed."""
MAX_DIALLED = 16
"""The most legs (links for clients that join) that are dialled at once. Further ones wait.

There is a limit because each needs a descriptor, and maybe a process.
"""
MAX_LEGS = 256
"""The most legs (links for clients that join) that are dialled or wait for their turn. Further ones are not dialled."""


class LegDialer:
    """Dials the reflector for legs: one more link for each client that joins the session. Never blocks.

    In each round of its loop, the caller polls for what `wanted` returns, until `deadline` at most, and calls `step`.

    Args:
        url: the URL of the agent's first link. Legs are dialled without its query, which holds the signature.
        insecure_tls: True to accept any certificate.
        log: a function that logs one line.
        headers: the header fields to send in addition. They may come from files or from a command. The files are read
            anew, and the command is run anew, for each leg.

    Attributes:
        holds: True to tell the reflector, for each leg, that the session lives on after its links are lost.
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
        self.holds = False
        self._legs: Dict[str, Work[Transport]] = {}  # by id; the first MAX_DIALLED are dialled, and the others wait
        self._last_failure = ""

    def begin(self, leg: str) -> None:
        """Begins to dial the leg (a link for one more client) with this id; `step` goes on with it.

        Does nothing if this leg is being dialled already.
        """
        if leg in self._legs:
            return
        if len(self._legs) >= MAX_LEGS:
            self._failed("too many are being dialled")
            return
        fields = [*features(holds=self.holds), (LEG, leg)]
        self._legs[leg] = Work(self._dial(fields, self._clock() + LEG_TIMEOUT, again=True))

    def attempt(self, fields: Sequence[Field], timeout: float) -> Work[Transport]:
        """Returns one attempt to dial, as a Work: an object by which the caller makes the attempt in steps.

        Args:
            fields: the header fields of the request, besides those of the user.
            timeout: seconds after which the attempt fails.
        """
        return Work(self._dial(fields, self._clock() + timeout))

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        return {fd: mask for _, leg in self._dialled() for fd, mask in leg.wanted.items()}

    def deadline(self) -> Optional[float]:
        """Returns the time of `clock` at which to call `step` even without an event; None to wait for events only."""
        return min(leg.until for _, leg in self._dialled()) if self._legs else None

    def step(self, events: Mapping[int, int]) -> List[Transport]:
        """Continues to dial each leg that has an event or whose deadline has come. Returns the links that are open now.

        Args:
            events: what poll reported, as a mask for each descriptor. Other descriptors are ignored.
        """
        opened, now = [], self._clock()
        for name, leg in self._dialled():
            try:
                link = leg.step(events, now)
                if link is None:
                    continue
                opened.append(link)
                self._last_failure = ""
            except ConnectRefused as refused:
                self._failed(describe(refused))
            del self._legs[name]
        return opened

    def close(self) -> None:
        """Stops dialling all legs (links for clients that join)."""
        for leg in self._legs.values():
            leg.close()
        self._legs.clear()

    def _dialled(self) -> List[Tuple[str, Work[Transport]]]:
        return list(self._legs.items())[:MAX_DIALLED] if self._legs else []

    def _dial(self, fields: Sequence[Field], deadline: float, *, again: bool = False) -> Steps[Transport]:
        """Dials the reflector in steps, which the caller carries out. The result of the steps is the transport.

        Raises ConnectRefused if the attempt fails.

        Args:
            fields: the header fields of the request, besides those of the user.
            deadline: the latest end, as a time of `clock`.
            again: True to dial again after a failure, until the reflector has answered or the deadline is near.
        """
        try:
            given = yield from self._headers.read_steps(deadline)
        except HeaderError as error:
            raise ConnectRefused(str(error)) from None
        insecure, clock, fields = self._insecure_tls, self._clock, [*given, *fields]
        while True:
            try:
                return (
                    yield from connect_steps(self._url, deadline, insecure_tls=insecure, headers=fields, clock=clock)
                )
            except ConnectRefused as refused:
                at = clock() + RETRY_INTERVAL
                if not again or refused.status is not None or not refused.retryable or at >= deadline:
                    raise
            yield Wait({}, at)

    def _failed(self, why: str) -> None:
        if why != self._last_failure:
            self._log("not connected for one more client: %s" % why)
        self._last_failure = why
