"""The metrics of this process, for a monitoring system. They contain no session id and no login.

This module counts. medusa/reflector/admin/exposition.py makes a text of the numbers, by prometheus_client, which takes
long to import. Its own counters are not used: each change of such a counter takes a lock of gevent, and each pair of
client and agent causes a dozen changes.
"""

from __future__ import annotations

import itertools
import math
import time
from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import gevent

from medusa.session import ABSENT, HELD, Outcome, State, stage

_FAST = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_LINK_UP = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_WAIT = (1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)


COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Histogram:
    """A histogram: the number of values that are at most as large as each of `bounds`, and the sum of all values."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[float, int]]:
        """Returns pairs: a bound, and how many values are at most as large. The last bound is infinite."""
        return list(zip((*self._bounds, math.inf), itertools.accumulate(self._counts), strict=True))


class Family(NamedTuple):
    """Metrics of one name.

    Attributes:
        kind: COUNTER, GAUGE or HISTOGRAM.
        what: what is counted, in words.
        values: the values, by the value of the label. The only key is "" if there is no label.
        label: the name of the label; "" if there is none.
    """

    kind: str
    name: str
    what: str
    values: Mapping[str, float] | Mapping[str, Histogram]
    label: str = ""


class Counted(Protocol):
    """The interface of a session, with the attributes and the method that Metrics reads."""

    @property
    def stage(self) -> str:
        """The session's state, as lists show it."""

    @property
    def links(self) -> int:
        """The number of the session's open connections."""

    @property
    def legs(self) -> int:
        """The number of the session's pairs of a client and an agent."""

    def counts(self) -> dict[str, int]:
        """Returns the payload bytes and messages that each side has sent to the other.

        The keys are client_bytes, agent_bytes, client_messages and agent_messages.
        """


class Metrics:
    """The metrics of one reflector.

    Attributes:
        handlers: the number of requests and greetings that are being answered.
        connections: for each use of connections, such as "startup", a function that returns how many are open.
    """

    def __init__(self) -> None:
        self.handlers = 0
        self.connections: dict[str, Callable[[], int]] = {}
        self._ended: Tally[str] = Tally(dict.fromkeys((outcome.value for outcome in Outcome), 0))
        self._refusals: Tally[str] = Tally()
        self._drops: Tally[str] = Tally(dict.fromkeys(("all", "source", "descriptors"), 0))
        self._accepted = self._joined = 0
        self._wait, self._link_up, self._lag = Histogram(_WAIT), Histogram(_LINK_UP), Histogram(_FAST)
        self._directory: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(_FAST))
        self._directory_errors: Tally[str] = Tally()
        self._past: Tally[str] = Tally()
        self._sessions: Callable[[], Sequence[Counted]] = list
        self._memory: Callable[[], tuple[int, int]] = lambda: (0, 0)

    def watch(self, sessions: Callable[[], Sequence[Counted]]) -> None:
        """Sets the function that returns the live sessions. It is called whenever the metrics are read."""
        self._sessions = sessions

    def watch_memory(self, memory: Callable[[], tuple[int, int]]) -> None:
        """Sets the function that returns two numbers about the memory that this process holds for peers.

        The first is the number of bytes held now. The second says how often this process has refused to hold more
        bytes.
        """
        self._memory = memory

    def measure_lag_forever(self, interval: float) -> None:
        """Measures every `interval` seconds how late the event loop is. Never returns. Call it in its own greenlet."""
        while True:
            due = time.monotonic() + interval
            gevent.sleep(interval)
            self._lag.observe(max(0.0, time.monotonic() - due))

    def accepted(self) -> None:
        """Counts a connection that was accepted."""
        self._accepted += 1

    def dropped(self, reason: str) -> None:
        """Counts a connection that was dropped. `reason`: see medusa.reflector.fronts.startups."""
        self._drops[reason] += 1

    def refused(self, status: int) -> None:
        """Counts a refusal, by its HTTP status."""
        self._refusals[str(status)] += 1

    def linked(self, waited: float, took: float) -> None:
        """Counts a session whose two sides were linked.

        Args:
            waited: seconds from the start of the session to the arrival of its agent.
            took: seconds from the agent's request to the link-up.
        """
        self._wait.observe(waited)
        self._link_up.observe(took)

    def joined(self, took: float) -> None:
        """Counts a client that has joined a session, and is linked to its agent. `took`: see `linked`."""
        self._joined += 1
        self._link_up.observe(took)

    def ended(self, outcome: Outcome, counts: dict[str, int]) -> None:
        """Counts a session that ended, and adds the data that it has relayed to the sums.

        `outcome`: how it ended. `counts`: see Counted.counts.
        """
        self._ended[outcome.value] += 1
        for key, count in counts.items():
            self._past[key] += count

    def asked_directory(self, operation: str, seconds: float, failed: bool) -> None:
        """Counts a call of a method of the directory.

        Args:
            operation: the name of the method.
            seconds: the time until the method returned or raised.
            failed: True if the call also counts as an error.
        """
        self._directory[operation].observe(seconds)
        if failed:
            self._directory_errors[operation] += 1

    def families(self) -> Iterator[Family]:
        """Yields all metrics. Live sessions, open connections and relayed data are computed now."""
        yield from self._of_sessions()
        yield Family(COUNTER, "medusa_sessions_ended", "Sessions that ended, by outcome", self._ended, "outcome")
        yield Family(COUNTER, "medusa_refusals", "Requests refused, by HTTP status", self._refusals, "status")
        dropped = "Connections dropped: too many peers have not identified themselves, or there are few descriptors"
        yield Family(COUNTER, "medusa_connections_dropped", dropped, self._drops, "reason")
        yield Family(COUNTER, "medusa_connections_accepted", "Connections accepted", {"": self._accepted})
        joined = "Clients that have joined a session and were linked to its agent"
        yield Family(COUNTER, "medusa_legs_joined", joined, {"": self._joined})
        yield Family(HISTOGRAM, "medusa_wait_seconds", "From a client's coming to its agent's", {"": self._wait})
        linkup = "From the agent's request to the linkup being sent"
        yield Family(HISTOGRAM, "medusa_link_up_seconds", linkup, {"": self._link_up})
        lag = "How late a timer of the event loop is"
        yield Family(HISTOGRAM, "medusa_event_loop_lag_seconds", lag, {"": self._lag})
        took = "What the directory takes to answer"
        yield Family(HISTOGRAM, "medusa_directory_seconds", took, self._directory, "operation")
        failed = "Times the directory failed"
        yield Family(COUNTER, "medusa_directory_errors", failed, self._directory_errors, "operation")

    def _of_sessions(self) -> Iterator[Family]:
        """Yields what is computed at each reading. Relayed data includes that of all sessions that have ended."""
        states = Tally({stage(state): 0 for state in State if state is not State.ENDED} | {HELD: 0, ABSENT: 0})
        totals, links, legs = Tally(self._past), 0, 0
        for session in self._sessions():
            states[session.stage] += 1
            totals.update(session.counts())
            links += session.links
            legs += session.legs
        yield Family(GAUGE, "medusa_sessions", "Sessions that live here, by state", states, "state")
        yield Family(GAUGE, "medusa_legs", "Pairs of a client and an agent, of all sessions that live here", {"": legs})
        for unit in ("bytes", "messages"):
            relayed = {sender: totals[f"{sender}_{unit}"] for sender in ("client", "agent")}
            yield Family(COUNTER, f"medusa_relayed_{unit}", f"{unit.title()} relayed, by sender", relayed, "sender")
        uses = {use: count_open() for use, count_open in self.connections.items()}
        connections = {"request": self.handlers, "link": links, **uses}
        yield Family(GAUGE, "medusa_connections", "Connections that are open, by use", connections, "use")
        used, refusals = self._memory()
        held = "Bytes that are held because peers finish or read too little"
        yield Family(GAUGE, "medusa_held_bytes", held, {"": used})
        refused = "Messages refused because too many bytes are held"
        yield Family(COUNTER, "medusa_held_refusals", refused, {"": refusals})
