"""A flood of refusals leaves few lines, whatever the status, and other sources keep theirs."""

from __future__ import annotations

import pytest

from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.metrics import Metrics
from tests.waiting import Clock

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def refusals(clock: Clock) -> RefusalLog:
    config = ReflectorConfig(timeouts=Timeouts(refusal_log_rate=2, refusal_log_rate_in_all=5))
    return RefusalLog(config, Metrics(), clock)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 429, 431, 503])
def test_a_flood_leaves_few_lines_of_each_status(refusals: RefusalLog, clock: Clock, status: int) -> None:
    assert [refusals.note(status, HERE) for _ in range(4)] == [{}, {}, None, None]
    clock.now += 30
    assert refusals.note(status, HERE) == {"left_out": 2}
    assert refusals.note(status, HERE) is None


def test_each_source_and_each_kind_has_its_own(refusals: RefusalLog) -> None:
    noted = [refusals.fields("404", HERE) for _ in range(3)]
    assert noted == [{}, {}, None]
    assert refusals.fields("404", THERE) == {"left_out": 1}
    assert refusals.fields("handshake", HERE) == {}


def test_an_ipv6_network_is_one_source(refusals: RefusalLog) -> None:
    assert [refusals.fields("404", f"2001:db8::{number}") for number in range(1, 4)] == [{}, {}, None]


def test_many_sources_leave_few_lines_too(refusals: RefusalLog, clock: Clock) -> None:
    hosts = [f"192.0.2.{number}" for number in range(1, 100)]
    assert sum(refusals.fields("404", host) is not None for host in hosts) == 5
