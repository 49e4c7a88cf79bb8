"""The numbers, and that a directory is timed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from prometheus_client.parser import text_string_to_metric_families

from medusa.directory import Claim, DirectoryError, Owner, SessionExists, StaleClaim
from medusa.directory.memory import MemoryDirectory
from medusa.directory.timed import TimedDirectory
from medusa.reflector.admin.exposition import exposition
from medusa.reflector.metrics import Metrics
from medusa.session import Outcome, State, stage


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """(name, label values ...) -> value."""
    families = text_string_to_metric_families(exposition(metrics.families()).decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def counts(sent: int) -> dict[str, int]:
    return {f"{side}_{unit}": sent for side in ("client", "agent") for unit in ("bytes", "messages")}


def living(state: State, sent: int) -> Any:
    return SimpleNamespace(stage=stage(state), links=2, legs=1, counts=lambda: counts(sent))


def test_sessions_are_counted_when_somebody_asks() -> None:
    metrics = Metrics()
    sessions = [living(State.LINKED, 5), living(State.LINKED, 6), living(State.WAITING, 0)]
    metrics.watch(lambda: sessions)
    metrics.ended(Outcome.LOST, counts(100))
    found = values(metrics)
    assert found["medusa_sessions", "linked"] == 2
    assert found["medusa_sessions", "waiting"] == 1
    assert found["medusa_sessions", "claimed"] == found["medusa_sessions", "held"] == 0
    assert found["medusa_relayed_bytes_total", "client"] == 111
    assert found["medusa_connections", "link"] == 6
    assert found["medusa_legs",] == 3
    sessions.clear()
    assert values(metrics)["medusa_relayed_messages_total", "agent"] == 100


def test_every_outcome_is_there_from_the_start() -> None:
    metrics = Metrics()
    metrics.ended(Outcome.COMPLETED, counts(1))
    found = values(metrics)
    assert {key[1]: value for key, value in found.items() if key[0] == "medusa_sessions_ended_total"} == {
        outcome.value: float(outcome is Outcome.COMPLETED) for outcome in Outcome
    }


def test_what_happens_is_counted() -> None:
    metrics = Metrics()
    metrics.accepted()
    metrics.refused(429)
    metrics.refused(429)
    metrics.linked(20.0, 0.002)
    metrics.handlers += 3
    found = values(metrics)
    assert found["medusa_connections_accepted_total",] == 1
    assert found["medusa_refusals_total", "429"] == 2
    assert found["medusa_connections", "request"] == 3
    assert (found["medusa_wait_seconds_bucket", "10.0"], found["medusa_wait_seconds_bucket", "30.0"]) == (0, 1)
    assert found["medusa_link_up_seconds_sum",] == 0.002


def test_reflectors_in_one_process_do_not_meet() -> None:
    metrics = Metrics()
    metrics.accepted()
    assert values(Metrics())["medusa_connections_accepted_total",] == 0


def test_a_loop_that_is_kept_is_late() -> None:
    metrics = Metrics()
    greenlet = gevent.spawn(metrics.measure_lag_forever, 0.001)
    while values(metrics)["medusa_event_loop_lag_seconds_count",] < 2:
        gevent.sleep(0.002)
    greenlet.kill()
    assert values(metrics)["medusa_event_loop_lag_seconds_sum",] > 0


class Failing(MemoryDirectory):
    def lookup(self, *_: object) -> Owner | None:
        raise DirectoryError("away")


def test_a_directory_is_timed_and_its_failures_counted() -> None:
    metrics = Metrics()
    owner, directory = Owner("here"), TimedDirectory(Failing(), metrics.asked_directory)
    claim = directory.claim("id", owner)
    with pytest.raises(SessionExists):
        directory.claim("id", owner)
    directory.renew(claim)
    directory.release(claim)
    with pytest.raises(StaleClaim):
        directory.renew(Claim("id", owner, "another"))
    with pytest.raises(DirectoryError):
        directory.lookup("id")
    found = values(metrics)
    assert {key[1]: value for key, value in found.items() if key[0] == "medusa_directory_seconds_count"} == {
        "claim": 2,
        "renew": 2,
        "release": 1,
        "lookup": 1,
    }
    assert {key[1]: value for key, value in found.items() if key[0] == "medusa_directory_errors_total"} == {"lookup": 1}
