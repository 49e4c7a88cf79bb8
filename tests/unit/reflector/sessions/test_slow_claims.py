"""Leases and claims while the directory is slow, and moves of claims which it does not answer."""

from __future__ import annotations

import contextlib

import gevent
import gevent.event
import pytest
from structlog.types import EventDict

from medusa.directory import DirectoryError
from medusa.protocol.record import replace
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.asker import CONCURRENCY
from medusa.reflector.sessions.claims.names import Claims
from tests.unit.reflector.conftest import run_loop, until
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


def test_the_lease_is_kept_while_all_claims_are_checked(store: Store, clock: Clock, claims: Claims) -> None:
    """However slow the directory is. The loss of the lease is noticed, and all are checked again."""
    for number in range(50):
        claims.take(SessionName(str(number)))
    claims._renewal._check_all()
    store.checks.clear()
    before, asked = lease(claims), store.checking
    checking = gevent.spawn(claims.renew_forever)
    until(lambda: store.checking == asked + CONCURRENCY)
    for _ in range(5):
        clock.now += 50
        steps(store)
    assert (lease(claims), len(store.entries(100))) == (before, 50)
    store.revoke(before)
    until(lambda: lease(claims) != before)
    assert store.checking == asked + CONCURRENCY, "still the first ones"
    store.checks.set()
    until(lambda: len(store.entries(100)) == 50)
    checking.kill()


def test_new_claims_are_checked_while_all_are(store: Store, claims: Claims) -> None:
    for number in range(200):
        claims.take(SessionName(str(number)))
    claims._renewal._check_all()
    claims._renewal._period = 0
    store.checks.clear()
    store.renewed.clear()
    checking = gevent.spawn(claims._renewal._check_all)
    gevent.sleep(0)
    claims.take(NAME)
    store.checks.set()
    checking.get()
    assert store.renewed.index(str(NAME)) < 100
    assert len({*store.renewed}) == 201


def test_the_lease_is_kept_after_an_unexpected_error(
    store: Store, claims: Claims, monkeypatch: pytest.MonkeyPatch, logs: list[EventDict]
) -> None:
    checking = gevent.spawn(claims.renew_forever)
    steps(store)
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep", lambda *_: 1 / 0)
        until(lambda: any(entry["event"] == "internal error" for entry in logs))
    steps(store)
    checking.kill()
    logs.clear()  # the test has caused them


def test_no_lease_is_kept_after_the_end_of_the_greenlet(store: Store, claims: Claims) -> None:
    checking = gevent.spawn(claims.renew_forever)
    steps(store)
    store.answers.clear()
    in_flight(store)
    checking.kill()
    kept = store.kept
    store.answers.set()
    run_loop()
    assert store.kept == kept


@pytest.mark.parametrize("fails", ["touch", "inherit"])
def test_the_owner_learns_of_a_move_that_got_no_answer(store: Store, clock: Clock, claims: Claims, fails: str) -> None:
    """After the directory answers again, even if it has carried out the move without an answer."""
    claims.take(NAME)
    claims._requests.lease.keep()
    other = on(store, clock, THERE, replace(QUICK, claim_move_age=-DAY))
    store.fails.add(fails)
    with contextlib.suppress(DirectoryError):
        other.take(NAME, instead_of=HERE)
    assert (store.lookup(str(NAME)), other.away) == (THERE, True)
    claims._requests.lease.keep()
    before = claims._requests.lease.touches
    store.fails.clear()
    assert other._asker.is_answering()
    other._requests.undo(())
    claims._requests.lease.keep()
    assert claims._requests.lease.touches != before


def test_the_owner_is_told_before_and_after_a_move(store: Store, clock: Clock, claims: Claims) -> None:
    """Before, because the process that moves the claim may end at any time."""
    claims.take(NAME)
    on(store, clock, THERE, replace(QUICK, claim_move_age=-DAY)).take(NAME, instead_of=HERE)
    assert store.moves == ["touch", "inherit", "touch"]


def test_a_claim_is_checked_soon_after_a_peer_has_asked_for_it(store: Store, claims: Claims) -> None:
    """So its owner learns that a reflector has taken it over which touches no lease."""
    lost = list[SessionName]()
    claims.on_lost = lost.append
    claims.take(NAME)
    claims._renewal._check_all()
    store.inherit(written(store), owner=THERE)
    assert (claims.elsewhere(NAME), claims._renewal._fresh) == (None, {NAME})
    claims._renewal._check({*claims._renewal._fresh})
    assert (lost, claims.elsewhere(NAME)) == ([NAME], THERE)
