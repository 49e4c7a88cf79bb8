"""Dials the reflector again and again, in steps, until a link is open. Never blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

from medusa.client.streams.lost_link.backoff import Backoff
from medusa.protocol.printable import printable
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused
from medusa.transports.link import LinkLost, Loss
from medusa.transports.steps import Steps, Work

ATTEMPT_TIMEOUT = 15.0
"""Seconds after which one attempt is given up."""

OVER = 410
"""The HTTP status for a ticket of a session that has ended."""

NOT_THERE = 404
"""The HTTP status if no such session is there: it has ended, or neither of its sides has come back yet."""

NOT_THERE_TIMEOUT = 60.0
"""Seconds. If the reflector does not know the session for so long, the session has ended."""

REFUSED = (401, 403)
"""The HTTP statuses by which a reflector refuses a ticket, a signature, or a request without one."""

_MAX_WORDS = 500


class NoReturn(LinkLost):
    """Raised if the stream cannot go on over another link. The text tells the user why."""

    def __init__(self, words: str) -> None:
        super().__init__(Loss.BROKEN, words)


class Dials(Protocol):
    """The interface of an object that connects to the reflector as the client of one session."""

    @property
    def returns(self) -> bool:
        """True if the client can come back to the session after its link is lost."""

    def take_ticket(self, ticket: str) -> None:
        """Stores a new ticket in the place of the old one. With a ticket, the client can come back to the session."""

    def refused(self) -> bool:
        """Changes how the client identifies itself. Call it after the reflector has refused by a status in REFUSED.

        Returns False if there is no other way. Otherwise the next attempt uses the other way.
        """

    def attempt(self, deadline: float) -> Steps[Transport]:
        """Makes one attempt to come back to the session, in steps that the caller carries out.

        The result of the steps is the connection.

        `deadline`: the time, by time.monotonic(), at which the attempt fails. Raises ConnectRefused if it has failed.
        """


class Redial:
    """Dials the reflector again and again, until a connection is open.

    In each round of the caller's loop, poll for `wanted`, until `deadline` at most. Then call `step`.

    Attributes:
        reason: why the last attempt has failed, in words for the user; "" if no attempt has failed yet, or if the last
            one has succeeded.
    """

    def __init__(self, dials: Dials, backoff: Backoff, clock: Callable[[], float]) -> None:
        self._dials, self._backoff, self._clock = dials, backoff, clock
        self._work: Work[Transport] | None = None
        self._at = self._not_there_since = math.inf
        self.reason = ""

    def begin(self, *, at_once: bool = False) -> None:
        """Begins to dial. `at_once`: True to make the first attempt without a pause."""
        self.close()
        self._at = self._clock() + (0.0 if at_once else self._backoff.next())

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        return {} if self._work is None else self._work.wanted

    def deadline(self) -> float:
        """Returns the time at which `step` must be called even without an event."""
        return self._at if self._work is None else self._work.until

    def step(self, events: Mapping[int, int]) -> Transport | None:
        """Goes on with dialling. Returns the connection as soon as it is open; None before.

        Raises:
            NoReturn: the reflector says that the session has ended, or does not let this client back in.
        """
        now = self._clock()
        if self._work is None:
            if now < self._at:
                return None
            self._work = Work(self._dials.attempt(now + ATTEMPT_TIMEOUT))
        try:
            link = self._work.step(events, now)
        except ConnectRefused as refused:
            self._work = None
            self._failed(refused, now)
            return None
        if link is not None:
            self._work, self._not_there_since, self.reason = None, math.inf, ""
        return link

    def close(self) -> None:
        """Ends the attempt that is under way, if there is one."""
        if self._work is not None:
            self._work.close()
            self._work = None

    def _failed(self, refused: ConnectRefused, now: float) -> None:
        self.reason = printable(str(refused), _MAX_WORDS)
        if refused.status == OVER:
            raise NoReturn("the session has ended while the link was lost")
        if refused.status in REFUSED:
            if not self._dials.refused():
                raise NoReturn(f"the reflector does not let mlogin back into the session ({self.reason})")
            self._at = now
            return
        if refused.status != NOT_THERE:
            self._not_there_since = math.inf
        elif now >= self._not_there_since + NOT_THERE_TIMEOUT:
            raise NoReturn(f"the reflector does not know the session any more ({self.reason})")
        else:
            self._not_there_since = min(self._not_there_since, now)
        self._at = now + self._backoff.next(refused.retry_after)
