"""The limit of open files, and what is said of it."""

from __future__ import annotations

import resource

import pytest
from structlog.types import EventDict

from medusa.reflector.net import fd_limit
from medusa.reflector.net.fd_limit import PER_PAIR, PER_PROXIED_PAIR, RESERVED, WANTED, pairs_allowed

Limits = list[tuple[int, int]]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """The limits (soft, hard) that hold last; a test puts the first in."""
    limits: Limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    return limits


@pytest.mark.parametrize(("limit", "pairs"), [(0, 0), (RESERVED, 0), (RESERVED + 3, 1), (1024, 480), (20_064, 10_000)])
def test_pairs(limit: int, pairs: int) -> None:
    assert pairs_allowed(limit) == pairs


def test_a_bridged_pair_takes_more() -> None:
    assert pairs_allowed(RESERVED + 60, PER_PROXIED_PAIR) == 10


def test_is_raised_to_the_hard_one(limits: Limits, logs: list[EventDict]) -> None:
    limits.append((1024, 1 << 20))
    fd_limit.check()
    assert limits[-1] == (1 << 20, 1 << 20)
    assert logs == []


def test_a_low_one_is_told_of_once_with_the_pairs_that_it_allows(limits: Limits, logs: list[EventDict]) -> None:
    limits.append((1024, 4096))
    fd_limit.check()
    (entry,) = logs
    assert entry["log_level"] == "warning"
    assert (entry["limit"], entry["pairs"]) == (4096, 2016)
    assert "20064" in entry["advice"]


@pytest.mark.parametrize("per_pair", [PER_PAIR, PER_PROXIED_PAIR])
def test_what_is_advised_is_enough(limits: Limits, logs: list[EventDict], per_pair: int) -> None:
    limits.append((1, RESERVED + per_pair * WANTED))
    fd_limit.check(per_pair)
    limits.append((1, RESERVED + per_pair * WANTED - 1))
    fd_limit.check(per_pair)
    assert [entry["pairs"] for entry in logs] == [WANTED - 1]


def test_without_any_limit(limits: Limits, logs: list[EventDict]) -> None:
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    fd_limit.check()
    assert logs == []


def test_where_it_cannot_be_raised(limits: Limits, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    limits.append((256, 1 << 20))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    fd_limit.check()
    assert [entry["pairs"] for entry in logs] == [96]
