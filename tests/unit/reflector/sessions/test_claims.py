"""Names that are held in a directory which is slow, forgets, or is away. Time is the directory's."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import gevent
import pytest
from structlog.types import EventDict

from medusa.directory import Claim, DirectoryError, Owner, SessionExists
from medusa.directory.memory import MemoryDirectory
from medusa.directory.tokens import new_token
from medusa.protocol.record import replace
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from tests.unit.reflector.conftest import until

NAME, OTHER = SessionName("id", "alice"), SessionName("id")
QUICK = Timeouts(claim_ttl=0.03, claim_retry_interval=0.01)
HERE, THERE = Owner("http://127.0.0.1:1"), Owner("http://127.0.0.1:2")
ELSEWHERE = Owner("http://127.0.0.1:3")


class Store(MemoryDirectory):
    """Expires nothing by itself; can be away. `renewed` counts. `told_before_release`: the ends of sessions."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.away = False
        self.renewed = 0
        self.spent: list[str] = []
        self.told_before_release: list[str] = []

    def _ask(self) -> None:
        gevent.sleep(0)
        if self.away:
            raise DirectoryError("no answer")

    def claim(self, session_id: str, owner: Owner, ttl: float = 60, lease: str = "") -> Claim:
        self._ask()
        return super().claim(session_id, owner, ttl, lease)

    def renew(self, claim: Claim, ttl: float = 60) -> None:
        self._ask()
        super().renew(claim, ttl)
        self.renewed += 1

    def release(self, claim: Claim) -> None:
        self._ask()
        super().release(claim)
        self.told_before_release = [mark for mark in self.spent if mark.startswith("ended ")]

    def spend(self, mark: str, ttl: float) -> bool:
        self._ask()
        self.spent.append(mark)
        return True

    def forget(self) -> None:
        """As after a restart, or when all claims have expired."""
        self._claims.clear()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def lost() -> list[SessionName]:
    return []


@pytest.fixture
def claims(store: Store, lost: list[SessionName], logs: list[EventDict]) -> Iterator[Claims]:
    claims = Claims(store, HERE, QUICK)
    claims.on_lost = lost.append
    keeping = gevent.spawn(claims.renew_forever)
    yield claims
    assert not keeping.dead
    keeping.kill()


def events(logs: list[EventDict]) -> list[str]:
    return [entry["event"] for entry in logs]


def renewed(store: Store, more: int = 3) -> None:
    """Waits until some renewals have been made."""
    wanted = store.renewed + more
    until(lambda: store.renewed >= wanted)


def test_are_renewed_for_as_long_as_they_are_held(claims: Claims, store: Store) -> None:
    claims.take(NAME)
    renewed(store)
    claims.release(NAME)
    claims.finish()
    assert store.lookup(str(NAME)) is None
    before = store.renewed
    claims.take(OTHER)
    renewed(store)
    assert store.renewed <= before + 4
    claims.release(OTHER)


def test_an_id_can_be_taken_before_it_is_free(claims: Claims, store: Store) -> None:
    claims.take(NAME)
    claims.release(NAME)
    claims.take(NAME)
    claims.finish()
    assert store.lookup(str(NAME)) == HERE


def test_what_a_process_before_left_is_taken_at_once(claims: Claims, store: Store, lost: list[SessionName]) -> None:
    store.claim(str(NAME), HERE)
    claims.take(NAME)
    with pytest.raises(SessionExists):
        claims.take(NAME)
    renewed(store)
    assert lost == []


def test_what_another_holds_is_refused(claims: Claims, store: Store) -> None:
    store.claim(str(NAME), THERE)
    with pytest.raises(SessionExists):
        claims.take(NAME)
    assert claims.elsewhere(NAME) == THERE
    assert claims.elsewhere(OTHER) is None
    claims.take(OTHER)
    assert claims.elsewhere(OTHER) is None


def taken_by(store: Store, owner: Owner, age: float) -> None:
    """Makes a claim that looks as if it were `age` seconds old."""
    claim = store.claim(str(NAME), owner)
    old = replace(claim, token=new_token(time.time() - age))
    store._claims[str(NAME)] = (old, math.inf)


@pytest.mark.parametrize(
    ("owner", "age", "moves"), [(THERE, 60, True), (THERE, 0, False), (THERE, -60, False), (ELSEWHERE, 60, False)]
)
def test_a_claim_moves_if_its_owner_is_gone_and_it_is_not_young(
    claims: Claims, store: Store, owner: Owner, age: float, moves: bool
) -> None:
    taken_by(store, owner, age)
    if moves:
        claims.take(NAME, instead_of=THERE)
    else:
        with pytest.raises(SessionExists):
            claims.take(NAME, instead_of=THERE)
    assert store.lookup(str(NAME)) == (HERE if moves else owner)


def test_a_young_claim_of_a_reflector_that_has_ended_moves(store: Store) -> None:
    lease = Lease()
    lease.held, lease.ended = True, THERE.address
    claims = Claims(store, HERE, QUICK, lease)
    store.claim(str(NAME), THERE)
    store.claim(str(OTHER), ELSEWHERE)
    claims.take(NAME, instead_of=THERE)
    with pytest.raises(SessionExists):
        claims.take(OTHER, instead_of=ELSEWHERE)


def test_the_owner_learns_that_its_claim_was_moved(claims: Claims, store: Store, lost: list[SessionName]) -> None:
    claims.take(NAME)
    store.inherit(store._claims[str(NAME)][0], owner=THERE)
    until(lambda: lost == [NAME])


def test_an_end_is_told_when_the_directory_is_back(claims: Claims, store: Store) -> None:
    claims.take(NAME)
    store.away = True
    claims.marks.add("m", int(time.time()) + 60)
    assert "m" in claims.marks
    claims.release(NAME, ["m"])
    until(lambda: claims.away)
    assert store.lookup(str(NAME)) == HERE, "its tickets could open it again if it was free"
    store.away = False
    until(lambda: "ended m" in store.spent)


def test_an_end_is_told_before_the_name_is_free(claims: Claims, store: Store) -> None:
    claims.take(NAME)
    claims.marks.add("m", int(time.time()) + 60)
    claims.release(NAME, ["m"])
    claims.finish()
    assert store.told_before_release == ["ended m"]


def test_the_owner_is_known_while_a_claim_on_its_name_is_still_being_refused(claims: Claims, store: Store) -> None:
    store.claim(str(NAME), THERE)

    def take() -> None:
        with pytest.raises(SessionExists):
            claims.take(NAME)

    taking = gevent.spawn(take)
    gevent.sleep(0)
    assert (taking.ready(), claims.elsewhere(NAME)) == (False, THERE)
    taking.get()


def test_what_the_directory_forgot_is_told_to_it_again(
    claims: Claims, store: Store, lost: list[SessionName], logs: list[EventDict]
) -> None:
    claims.take(NAME)
    claims.take(OTHER)
    store.forget()
    until(lambda: store.lookup(str(NAME)) == store.lookup(str(OTHER)) == HERE)
    renewed(store)
    assert lost == []
    assert events(logs) == ["claim restored"] * 2


class Lease:
    """Stands for the lease on the address."""

    displaced = ""
    held = False
    ended = ""

    def keep(self) -> bool:
        return False

    def has_died(self, address: str) -> bool:
        return address == self.ended


def test_without_the_lease_claims_at_the_own_address_are_anothers(store: Store) -> None:
    lease = Lease()
    claims = Claims(store, HERE, QUICK, lease)
    theirs = store.claim(str(NAME), HERE)
    with pytest.raises(SessionExists):
        claims.take(NAME)
    claims._requests._undo_claim(NAME, ())
    store.renew(theirs)
    lease.held = True
    claims.take(NAME)


def test_what_another_has_by_now_is_lost(
    claims: Claims, store: Store, lost: list[SessionName], logs: list[EventDict]
) -> None:
    claims.take(NAME)
    store.forget()
    theirs = store.claim(str(NAME), THERE)
    until(lambda: lost)
    claims.release(lost[0])
    claims.finish()
    store.renew(theirs)
    assert events(logs) == ["claim lost"]


def test_a_directory_that_goes_and_comes_back(claims: Claims, store: Store, logs: list[EventDict]) -> None:
    claims.take(NAME)
    store.away = True
    for _ in range(3):
        with pytest.raises(DirectoryError):
            claims.take(OTHER)
    until(lambda: claims.away)
    claims.release(NAME)
    store.away = False
    until(lambda: not claims.away)
    claims.take(OTHER)
    claims.take(NAME)
    renewed(store)
    assert events(logs) == ["directory unavailable", "directory is back"]


def test_the_end_waits_for_what_an_answer_brings_about(
    store: Store, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question that is answered at the end may give its mark back."""
    given_back: list[str] = []

    def give_back(mark: str, *tokens: str) -> None:
        gevent.sleep(0)
        given_back.extend([mark, *tokens])

    def ask() -> None:
        assert claims.marks.spend("mark", 60)
        claims.marks.give_back("mark", "token")

    monkeypatch.setattr(store, "give_back", give_back)
    asking = gevent.spawn(ask)
    gevent.sleep(0)
    assert not asking.ready()
    claims.finish()
    assert given_back == ["mark", "token"]
