"""Claims that depend on a lease, in a directory that is asked over a network. Time is the lease's."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import gevent.event
import pytest
from structlog.types import EventDict

from medusa.directory import DirectoryError
from medusa.protocol.record import replace
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from tests.unit.reflector.conftest import until
from tests.unit.reflector.sessions.leased import (
    DAY,
    HERE,
    NAME,
    QUICK,
    THERE,
    Store,
    in_flight,
    lease,
    on,
    steps,
    written,
)
from tests.waiting import Clock


@pytest.fixture
def kept(claims: Claims) -> Iterator[Claims]:
    """They are checked."""
    claims._renewal._period = 0.005
    checking = gevent.spawn(claims.renew_forever)
    yield claims
    assert not checking.dead
    checking.kill()


def test_one_lease_keeps_all_names(store: Store, clock: Clock, claims: Claims) -> None:
    for number in range(100):
        claims.take(SessionName(str(number)))
    claims._renewal._check_all()
    assert len(store.renewed) == 100
    for _ in range(10):
        clock.now += 50
        claims._requests.lease.keep()
    assert len(store.entries(1000)) == 100
    clock.now += 61
    assert store.entries(1000) == {}


def test_new_claims_are_checked_soon_and_the_rest_at_a_pace_of_its_own(store: Store, kept: Claims) -> None:
    names = [SessionName(str(number)) for number in range(50)]
    for name in names:
        kept.take(name)
    until(lambda: set(store.renewed) == set(map(str, names)))
    until(lambda: not kept._renewal._fresh)
    renewed, periods = len(store.renewed), store.kept
    steps(store, 20)
    assert len(store.renewed) - renewed <= store.kept - periods + 1, "one in each period, however many there are"
    until(lambda: len(store.renewed) >= renewed + 100)
    assert min(map(store.renewed.count, map(str, names))) >= 2


def test_a_claim_that_is_not_confirmed_is_gone_soon(store: Store, clock: Clock, claims: Claims) -> None:
    """However long its lease lasts: the process may not know of it."""
    claims.take(NAME)
    for _ in range(2):
        clock.now += 40
        claims._requests.lease.keep()
    assert store.lookup(str(NAME)) is None


def test_the_owner_learns_at_once_that_a_claim_was_moved(store: Store, kept: Claims, clock: Clock) -> None:
    lost = list[SessionName]()
    kept.on_lost = lost.append
    kept.take(NAME)
    steps(store)
    before = lease(kept)
    clock.now += 30
    other = on(store, clock, THERE, replace(QUICK, claim_move_age=-DAY))
    other.take(NAME, instead_of=HERE)
    until(lambda: lost == [NAME])
    assert (lease(kept), store.lookup(str(NAME))) == (before, THERE)


def test_a_lease_that_is_lost_is_replaced(store: Store, kept: Claims, logs: list[EventDict]) -> None:
    kept.take(NAME)
    steps(store)
    before = lease(kept)
    store.revoke(before)
    until(lambda: written(store).lease == lease(kept) != before)
    assert store.lookup(str(NAME)) == HERE
    assert [entry["event"] for entry in logs] == ["lease lost"]


def test_a_release_without_an_answer_is_made_later(store: Store, kept: Claims) -> None:
    names = [SessionName(str(number)) for number in range(3)]
    for name in names:
        kept.take(name)
    steps(store)
    store.away = True
    kept.release_now(names[0])
    until(lambda: kept.away)
    for name in names[1:]:
        kept.release(name, ["mark"])
    gevent.sleep(0)
    assert len(store.entries(10)) == 3
    store.away = False
    until(lambda: not store.entries(10))


def test_a_failure_while_the_lease_is_renewed_is_not_forgotten(store: Store, kept: Claims) -> None:
    kept.take(NAME)
    steps(store)
    kept._renewal._period = 1e-6  # the next claims are due as soon as the lease is renewed
    store.answers.clear()
    in_flight(store)
    store.away = True
    kept.release_now(NAME)
    store.away = False
    store.answers.set()
    until(lambda: not store.entries(10))


def test_a_name_is_looked_up_if_the_lease_may_have_expired(store: Store, clock: Clock, claims: Claims) -> None:
    claims.take(NAME)
    store.claim("other", THERE)
    assert claims.elsewhere(NAME) is None
    clock.now += 61
    store.claim(str(NAME), THERE)
    assert claims.elsewhere(NAME) == THERE
    claims._requests.lease.keep()
    assert claims.elsewhere(NAME) == THERE, "the new lease does not make the old claim good"


def test_claims_fail_at_once_while_the_directory_is_away_for_long(store: Store, clock: Clock, claims: Claims) -> None:
    claims.take(NAME)
    clock.now += 61
    store.away, before = True, store.kept
    asked = [gevent.spawn(claims.take, SessionName(str(number))) for number in range(5)]
    gevent.joinall(asked)
    assert all(isinstance(each.exception, DirectoryError) for each in asked)
    assert store.kept == before
    assert claims.elsewhere(NAME) is None, "sessions stay where they are"


def test_the_end_frees_all(store: Store, claims: Claims) -> None:
    claims.take(NAME)
    claims.end()
    claims._requests.lease.keep()
    assert (store.lookup(str(NAME)), lease(claims)) == (None, "")
