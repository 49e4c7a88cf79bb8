"""A signature lets in one peer at most, however requests interleave and whatever the directory does to their questions.

Requests run at two reflectors. A question is carried out at once, later or never, and its answer arrives or is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from greenlet import getcurrent, greenlet

from medusa.directory import DirectoryError, Mark
from medusa.protocol.http.signature import KeyId
from medusa.reflector.auth.authenticator import Grant
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.auth.single_use import Reservation, ReservedMark, SingleUse
from medusa.reflector.refusal import Refusal

NOW = 1000.0
RUNS = 500
GRANT = Grant(KeyId("alice", None, "fp"), b"d" * 32, NOW + 300)

Question = Callable[[], Any]


def _ask(question: Question) -> Any:
    """Passes a question to the test, which says what becomes of it."""
    parent = getcurrent().parent
    assert parent is not None
    return parent.switch(question)


class Store:
    """What Redis does with one mark; tests/integration/test_redis.py has the real one."""

    def __init__(self) -> None:
        self.held = ""

    def reserve(self, token: str) -> Mark:
        if self.held in ("", "reserved " + token):
            self.held = "reserved " + token
            return Mark.FREE
        return Mark.USED if self.held.startswith("used ") else Mark.RESERVED

    def confirm(self, token: str, use: str) -> bool:
        if self.held in ("reserved " + token, "confirmed " + use):
            self.held = "confirmed " + use
        return self.held == "confirmed " + use

    def settle(self, use: str) -> None:
        if self.held == "confirmed " + use:
            self.held = "used " + use

    def give_back(self, *tokens: str) -> None:
        if self.held.partition(" ")[2] in tokens:
            self.held = ""

    def expire(self) -> None:
        if self.held.startswith("reserved "):
            self.held = ""


class World:
    """Two reflectors and their directory. `chance` decides what happens.

    Attributes:
        late: questions that were sent and are not carried out yet.
        waiting: requests that wait for the answer to a question.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.waiting: list[tuple[greenlet, Question]] = []
        self.store = Store()
        self.late: list[Question] = []
        self.books = [SingleUse(ReplayCache(lambda: NOW), self, lambda: NOW) for _ in range(2)]
        self.let_in = 0
        self.settling = False
        self.statuses: list[int] = []

    def reserve(self, mark: str, token: str) -> Mark:
        found: Mark = _ask(lambda: self.store.reserve(token))
        return found

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        return bool(_ask(lambda: self.store.confirm(token, use)))

    def settle(self, mark: str, use: str) -> None:
        _ask(lambda: self.store.settle(use))

    def give_back(self, mark: str, *tokens: str) -> None:
        self.late.append(lambda: self.store.give_back(*tokens))

    def begin(self) -> None:
        """A request comes to one of the reflectors, which may forward it to the other."""
        at, forwarded, fails, lost = (self._chance.random() < 0.5 for _ in range(4))
        self.go_on(greenlet(partial(self._attempt, int(at), forwarded, fails, forwarded and lost)).switch)

    def _attempt(self, at: int, forwarded: bool, fails: bool, answer_is_lost: bool) -> None:
        """One request. `fails`: after its signature was used. `answer_is_lost`: of the owner, to the forwarder."""
        try:
            reservation = self.books[at].reserve(GRANT)
        except Refusal as refused:
            self.statuses.append(refused.status)
            return
        try:
            self._let_in(self.books[1 - at].adopt(reservation.reserved) if forwarded else reservation, fails)
            if answer_is_lost:
                raise Refusal(503, "the owner does not answer")
            reservation.settled_elsewhere()
            self.statuses.append(101)
        except Refusal as refused:
            reservation.give_back()
            self.statuses.append(refused.status)

    def _let_in(self, reservation: Reservation, fails: bool) -> None:
        try:
            reservation.confirm()
            if fails:
                raise Refusal(400, "the peer is gone")
            self.settling = True
            reservation.settle()
        except Refusal:
            reservation.give_back()
            raise
        self.let_in += 1

    def go_on(self, step: Callable[..., Question], *arguments: Any) -> None:
        """Runs a request up to its next question. `step`: `switch` or `throw` of its greenlet."""
        request: greenlet = step.__self__  # type: ignore[attr-defined]
        question = step(*arguments)
        if not request.dead:
            self.waiting.append((request, question))

    def answer(self) -> None:
        """One of the questions is answered, or not."""
        if not self.waiting:
            return
        request, question = self.waiting.pop(self._chance.randrange(len(self.waiting)))
        fate = self._chance.choice(["answered", "answered", "answer lost", "late", "never"])
        if fate == "late":
            self.late.append(question)
        answer = question() if fate in ("answered", "answer lost") else None
        if fate == "answered":
            self.go_on(request.switch, answer)
        else:
            self.go_on(request.throw, DirectoryError("no answer"))

    def carry_out(self) -> None:
        """Carries out one of the questions that are late, if there is one."""
        if self.late:
            self.late.pop(self._chance.randrange(len(self.late)))()

    def end_trouble(self) -> None:
        """All questions are answered or given up, and carried out in any order."""
        while self.waiting:
            self.answer()
        while self.late:
            self.carry_out()
        self.store.expire()

    def tries_in_peace(self, at: int) -> int:
        """The status of one more request."""
        self.go_on(greenlet(partial(self._attempt, at, False, False, False)).switch)
        while self.waiting:
            request, question = self.waiting.pop()
            self.go_on(request.switch, question())
        return self.statuses[-1]


@pytest.mark.parametrize("seed", range(8))
def test_a_signature_works_once_and_never_twice(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(RUNS):
        world = World(chance)
        steps = [world.begin, world.answer, world.answer, world.carry_out, world.store.expire]
        for step in chance.choices(steps, k=chance.randrange(30)):
            step()
            assert world.let_in <= 1
            assert world.settling or 403 not in world.statuses, "nobody is told that it was used if it was not"
        world.end_trouble()
        before = world.let_in
        statuses = {world.tries_in_peace(at) for at in (1, 0)}
        assert world.let_in == 1
        # 503: Redis was never told that the signature, which has let in a peer, is used for good
        assert statuses == {101, 403} if not before else statuses <= {403, 503}, "it works unless it has worked"


def test_a_request_takes_back_only_what_it_has_noted_itself() -> None:
    book = World(random.Random(0)).books[0]
    reserved = ReservedMark(GRANT.digest.hex(), "token", int(GRANT.until))
    book.busy.add(GRANT.digest)
    first, second = book.adopt(reserved), book.adopt(reserved)
    first.settled_elsewhere()
    second.settled_elsewhere()
    second.give_back()
    assert book.nonces.used(GRANT.digest)
    assert book.busy == {GRANT.digest}, "of a request that came here"
    first.give_back()
    assert not book.nonces.used(GRANT.digest)
