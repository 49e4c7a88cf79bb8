"""A directory that is asked over a network, and claims in it that depend on a lease. Time is the lease's."""

from __future__ import annotations

import gevent
import gevent.event

from medusa.directory import Claim, DirectoryError, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from tests.unit.reflector.conftest import until
from tests.waiting import Clock

HERE, THERE = Owner("http://127.0.0.1:1"), Owner("http://127.0.0.1:2")
NAME = SessionName("id", "alice")
QUICK = Timeouts(claim_ttl=60, claim_retry_interval=0.001)
DAY = 24 * 3600.0


class Store(MemoryDirectory):
    """Counts. Can be away."""

    waits = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.away = False
        self.renewed: list[str] = []
        self.kept = 0
        self.answers = gevent.event.Event()  # `keep` waits for this
        self.answers.set()
        self.checks = gevent.event.Event()  # `renew` waits for this
        self.checks.set()
        self.checking = 0  # how often `renew` was called
        self.fails: set[str] = set()  # the questions that get no answer
        self.moves: list[str] = []  # the calls of `touch` and `inherit`
        self.asked = 0  # how often `keep` was called

    def renew(self, claim: Claim, ttl: float = 60) -> None:
        self.checking += 1
        self.checks.wait()
        super().renew(claim, ttl)
        self.renewed.append(claim.session_id)

    def keep(self, lease: str, ttl: float = 60) -> str | None:
        self.asked += 1
        gevent.sleep(0)
        self.answers.wait()
        self._answer()
        self.kept += 1
        return super().keep(lease, ttl)

    def inherit(self, old: Claim, ttl: float = 60, owner: Owner | None = None, lease: str = "") -> Claim:
        claim = super().inherit(old, ttl, owner, lease)
        self._note("inherit")
        return claim

    def touch(self, lease: str) -> None:
        self._note("touch")
        super().touch(lease)

    def release(self, claim: Claim) -> None:
        self._answer()
        super().release(claim)

    def spend(self, mark: str, ttl: float) -> bool:
        self._answer()
        return True

    def _note(self, question: str) -> None:
        self.moves.append(question)
        if question in self.fails:
            raise DirectoryError("no answer")

    def _answer(self) -> None:
        if self.away:
            raise DirectoryError("no answer")


def on(store: Store, clock: Clock, owner: Owner = HERE, timeouts: Timeouts = QUICK) -> Claims:
    claims = Claims(store, owner, timeouts)
    claims._requests.lease._clock = clock
    return claims


def lease(claims: Claims) -> str:
    return claims._requests.lease.id


def steps(store: Store, count: int = 5) -> None:
    wanted = store.kept + count
    until(lambda: store.kept >= wanted)


def written(store: Store) -> Claim:
    """The claim on NAME, whether its lease lasts or not."""
    claim = store._written(str(NAME))
    assert claim is not None
    return claim


def in_flight(store: Store) -> None:
    """Returns when a renewal of the lease is under way. Clear `store.answers` before."""
    until(lambda: store.asked > store.kept)
