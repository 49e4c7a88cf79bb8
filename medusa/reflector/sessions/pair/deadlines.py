"""Decides what is due in one pair now, and when to check again. No I/O; the time is passed in.

Times are in seconds of one monotonic clock. `happened` returns the inputs that are due: events for the state machine in
medusa/session/machine.py. `check_links` returns which peers need a ping, do not finish a message, or are lost. Both
functions may be called at any time. `next_input` returns the time at which to call `happened` next; `next_check` does
the same for `check_links`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.sessions.pair.link_checks import Link, LinkChecks
from medusa.reflector.sessions.pair.time_limits import DrainNotices, TimeLimits
from medusa.session import Input, Side


class Session(Protocol):
    """The interface of the session that a pair belongs to: the method that Deadlines calls."""

    def active(self) -> float:
        """Returns the time at which terminal input or output has last passed, in any of the session's pairs."""


class Deadlines(LinkChecks):
    """Keeps the deadlines of one pair (a client and its agent), and checks the connections of both.

    When the client begins to wait, call one of the methods `wait`, `wait_for_call` and `wait_for_home`. Call `link`
    when the pair is linked, and `finish` when it begins to close.

    Args:
        session: the session that the pair belongs to. While any of its pairs passes terminal bytes, this pair is not
            idle. None: only this pair counts.
    """

    __slots__ = (
        "_backlogs",
        "_drain",
        "_hurried",
        "_limits",
        "_session",
        "_timed",
        "_waited",
    )

    def __init__(self, config: ReflectorConfig, now: float, session: Session | None = None) -> None:
        super().__init__(config, now)
        self._session = session
        self._timed: dict[Input, float] = {}
        self._limits: TimeLimits | None = None
        self._drain: DrainNotices | None = None
        self._waited = False  # True: `wait` was called, so there is a client
        self._hurried = False
        self._backlogs: dict[Side, int] | None = None  # bytes not sent yet, when the close timeout last expired

    def wait(self, now: float) -> None:
        """Starts the deadlines of a client that waits for an agent which connects without being asked."""
        self._waited = True
        pulse = now + self._config.timeouts.wait_interval
        self._timed = {Input.WAIT_PULSE: pulse, Input.WAIT_EXPIRED: now + self._config.wait_timeout}

    def wait_for_call(self, now: float) -> None:
        """Starts the deadlines of a client that waits for an agent which has to be asked to connect."""
        self.wait(now)
        timeouts = self._config.timeouts
        del self._timed[Input.WAIT_EXPIRED]
        self._timed |= {Input.CALL_EXPIRED: now + timeouts.call_timeout, Input.CALL_DUE: now}

    def wait_for_home(self, now: float, timeout: float = math.inf) -> None:
        """Starts the deadlines of a client that waits until an agent which is away comes back.

        `timeout`: the longest wait, in seconds. Infinity if the client waits as long as the agent holds the session.
        """
        self.wait(now)
        self._timed[Input.WAIT_EXPIRED] = now + timeout

    def abandon(self, now: float) -> None:
        """Ends the wait of the client, because its agent cannot be asked to connect any more.

        Does nothing if the client does not wait.
        """
        if Input.WAIT_PULSE in self._timed:
            self._timed = {Input.AGENT_GONE: now}

    def link(self, now: float, since: float | None = None) -> None:
        """Starts the deadlines of a linked pair.

        Args:
            since: the time at which the first pair of the session was linked, which starts the maximum duration. None:
                `now`.
        """
        self._timed = {}
        if self._config.idle_timeout or self._config.max_duration:
            began = now if since is None else since
            self._limits = TimeLimits(self._config.idle_timeout, self._config.max_duration, began)

    def drain(self, end: float, now: float, words: str = "") -> None:
        """Sets the time at which the pair ends because a reflector stops. Its user gets notices before.

        Does nothing if an earlier end is set already, or if the pair is closing. `happened` returns the notices and the
        end only after the client has begun to wait.

        Args:
            end: the time at which the pair ends.
            words: the reason, as a text for the user.
        """
        if not self._closing and (self._drain is None or end < self._drain.end):
            self._drain = DrainNotices(end, now, words)

    def finish(self, now: float) -> None:
        """Starts the deadline of a pair that begins to close: its peers have `close_timeout` to answer or hang up."""
        self._limits = self._drain = None
        self.close_begins()
        self._timed = {Input.CLOSE_EXPIRED: now + self._config.timeouts.close_timeout}

    def hurry(self) -> None:
        """Makes the close timeout final: from now on it is not extended for a client that reads slowly."""
        self._hurried = True

    @property
    def drain_words(self) -> str:
        """The reason that was passed to `drain`, as a text for the user; "" if `drain` has set no end."""
        return self._drain.words if self._drain is not None else ""

    def left_of_drain(self, now: float) -> float:
        """Returns the seconds until the end that `drain` has set; infinity if no such end is set."""
        return self._drain.end - now if self._drain is not None else math.inf

    def left(self, now: float, links: Collection[Link]) -> tuple[float, float]:
        """Returns (seconds until the maximum duration ends the pair, seconds until the idle timeout ends it).

        A number is infinity if there is no such limit.
        """
        return self._limits.left(now, self._last_byte(links)) if self._limits is not None else (math.inf, math.inf)

    # ------------------------------------------------------------------ inputs of the session's table

    def happened(self, now: float, links: Collection[Link]) -> Input | None:
        """Returns one input (event) for the pair's state machine that is due now; None if none is due.

        Process the input, then call this method again, until it returns None.
        """
        for happened, when in list(self._timed.items()):
            if when > now:
                continue
            if happened is Input.WAIT_PULSE:
                interval = self._config.timeouts.wait_interval
                # Pulses that were missed are skipped.
                self._timed[happened] = when + interval * (1 + (now - when) // interval)
            elif happened is Input.CALL_DUE:
                self._timed[happened] = now + self._config.timeouts.call_interval
            elif happened is Input.CLOSE_EXPIRED and self._is_read_slowly(links):
                self._timed[happened] = now + self._config.timeouts.close_timeout
                continue
            else:
                del self._timed[happened]
            return happened
        if self._drain is not None and self._waited and (drain := self._drain.due(now)) is not None:
            return drain
        return self._limits.due(now, self._last_byte(links)) if self._limits is not None else None

    def next_input(self, links: Collection[Link]) -> float:
        """Returns the time at which to call `happened` next; infinity if no deadline is set."""
        limit = self._limits.deadline(self._last_byte(links)) if self._limits is not None else math.inf
        drain = self._drain.deadline() if self._drain is not None and self._waited else math.inf
        return min([limit, drain, *self._timed.values()])

    def _last_byte(self, links: Collection[Link]) -> float:
        return active(links) if self._session is None else self._session.active()

    def _is_read_slowly(self, links: Collection[Link]) -> bool:
        """Returns True if a side gets more time to close, because it has not received all bytes before its Close yet.

        A client gets more time as long as its user does not read on (a pager, a stopped terminal). Otherwise the job's
        output would be cut off. An agent gets more time only if it has received bytes since the last call.
        """
        before = self._backlogs or {}
        self._backlogs = {link.side: link.backlog for link in links if link.open}
        if self._hurried:
            return False
        agent = self._backlogs.get(Side.AGENT, 0)
        return self._backlogs.get(Side.CLIENT, 0) > 0 or 0 < agent < before.get(Side.AGENT, agent + 1)


def active(links: Collection[Link]) -> float:
    """Returns the time at which terminal input or output has last passed over one of `links`.

    If none has passed yet: the time when the last side was let in.
    """
    return max(link.active for link in links)
