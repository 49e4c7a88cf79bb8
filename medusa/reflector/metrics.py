"""The metrics of this process, for a monitoring system. They contain no session id and no login."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import gevent
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from medusa.session import ABSENT, HELD, Outcome, State, stage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FAST = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_LINK_UP = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_WAIT = (1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)


class Counted(Protocol):
    """The interface of a session, with the attributes that Metrics reads."""

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
    """The metrics of one reflector. Each object has its own registry, so several reflectors can share a process.

    Attributes:
        handlers: the number of requests and greetings that are being answered.
        connections: for each use of connections, such as "startup", a function that returns how many are open.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.handlers = 0
        self.connections: dict[str, Callable[[], int]] = {}
        outcomes = Counter(
            "medusa_sessions_ended", "Sessions that ended, by outcome", ["outcome"], registry=self._registry
        )
        self._ended = {outcome: outcomes.labels(outcome.value) for outcome in Outcome}
        self._refusals = Counter(
            "medusa_refusals", "Requests refused, by HTTP status", ["status"], registry=self._registry
        )
        dropped = "Connections dropped: too many peers have not identified themselves, or there are few descriptors"
        drops = Counter("medusa_connections_dropped", dropped, ["reason"], registry=self._registry)
        self._drops = {reason: drops.labels(reason) for reason in ("all", "source", "descriptors")}
        self._accepted = Counter("medusa_connections_accepted", "Connections accepted", registry=self._registry)
        joined = "Clients that have joined a session and were linked to its agent"
        self._joined = Counter("medusa_legs_joined", joined, registry=self._registry)
        self._wait = self._histogram("medusa_wait_seconds", "From a client's coming to its agent's", _WAIT)
        linkup = "From the agent's request to the linkup being sent"
        self._link_up = self._histogram("medusa_link_up_seconds", linkup, _LINK_UP)
        self._lag = self._histogram("medusa_event_loop_lag_seconds", "How late a timer of the event loop is", _FAST)
        self._directory = Histogram(
            "medusa_directory_seconds",
            "What the directory takes to answer",
            ["operation"],
            buckets=_FAST,
            registry=self._registry,
        )
        self._directory_errors = Counter(
            "medusa_directory_errors", "Times the directory failed", ["operation"], registry=self._registry
        )
        self._past: Tally[str] = Tally()
        self._sessions: Callable[[], Sequence[Counted]] = list
        self._memory: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._registry.register(_SessionCollector(self))

    def watch(self, sessions: Callable[[], Sequence[Counted]]) -> None:
        """Sets the function that returns the live sessions. It is called each time that the metrics are read."""
        self._sessions = sessions

    def watch_memory(self, memory: Callable[[], tuple[int, int]]) -> None:
        """Sets the function that returns two numbers about the memory held for peers.

        They are the bytes held now, and how often this process has refused to hold more bytes.
        """
        self._memory = memory

    def measure_lag_forever(self, interval: float) -> None:
        """Measures every `interval` seconds how late the event loop is. Never returns: give it its own greenlet."""
        while True:
            due = time.monotonic() + interval
            gevent.sleep(interval)
            self._lag.observe(max(0.0, time.monotonic() - due))

    def accepted(self) -> None:
        """Counts a connection that was accepted."""
        self._accepted.inc()

    def dropped(self, reason: str) -> None:
        """Counts a connection that was dropped. `reason`: see medusa.reflector.fronts.startups."""
        self._drops[reason].inc()

    def refused(self, status: int) -> None:
        """Counts a refusal, by its HTTP status."""
        self._refusals.labels(str(status)).inc()

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
        self._joined.inc()
        self._link_up.observe(took)

    def ended(self, outcome: Outcome, counts: dict[str, int]) -> None:
        """Counts a session that ended. `counts`: see Counted.counts."""
        self._ended[outcome].inc()
        self._past.update(counts)

    def asked_directory(self, operation: str, seconds: float, failed: bool) -> None:
        """Counts a call of the directory's method `operation`. `seconds`: the time until it returned or raised."""
        self._directory.labels(operation).observe(seconds)
        if failed:
            self._directory_errors.labels(operation).inc()

    def exposition(self) -> bytes:
        """Returns all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

    def of_sessions(self) -> Iterator[Metric]:
        """Yields the metrics that are computed at each reading: live sessions, open connections, and relayed data.

        The relayed bytes and messages include those of all sessions that have ended.
        """
        states = Tally({stage(state): 0 for state in State if state is not State.ENDED} | {HELD: 0, ABSENT: 0})
        totals, links, legs = Tally(self._past), 0, 0
        for session in self._sessions():
            states[session.stage] += 1
            totals.update(session.counts())
            links += session.links
            legs += session.legs
        there = GaugeMetricFamily("medusa_sessions", "Sessions that live here, by state", labels=["state"])
        for state, count in states.items():
            there.add_metric([state], count)
        yield there
        yield GaugeMetricFamily("medusa_legs", "Pairs of a client and an agent, of all sessions that live here", legs)
        for unit in ("bytes", "messages"):
            family = CounterMetricFamily(
                "medusa_relayed_" + unit, "%s relayed, by sender" % unit.title(), labels=["sender"]
            )
            for sender in ("client", "agent"):
                family.add_metric([sender], totals["%s_%s" % (sender, unit)])
            yield family
        open_ = GaugeMetricFamily("medusa_connections", "Connections that are open, by use", labels=["use"])
        open_.add_metric(["request"], self.handlers)
        open_.add_metric(["link"], links)
        for use, count_open in self.connections.items():
            open_.add_metric([use], count_open())
        yield open_
        used, refusals = self._memory()
        yield GaugeMetricFamily(
            "medusa_held_bytes", "Bytes that are held because peers finish or read too little", used
        )
        yield CounterMetricFamily("medusa_held_refusals", "Messages refused because too many bytes are held", refusals)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, what, buckets=buckets, registry=self._registry)


class _SessionCollector(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.of_sessions()
