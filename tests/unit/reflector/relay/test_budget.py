"""The memory that peers may make a process hold."""

from __future__ import annotations

import random

import pytest

from medusa.reflector.relay.budget import Budget, Share


def filled(budget: Budget, size: int, login: str = "alice") -> Share:
    share = budget.share(login=login)
    assert share.take(size) == ""
    return share


@pytest.mark.parametrize(
    ("limits", "held", "refused"),
    [
        ((0, 0), 10**12, ""),
        ((100, 40), 40, "max-held-per-login"),
        ((100, 0), 100, "max-held"),
        ((0, 40), 40, "max-held-per-login"),
    ],
)
def test_limits(limits: tuple[int, int], held: int, refused: str) -> None:
    budget = Budget(*limits)
    share = filled(budget, held)
    assert ("(--%s)" % refused in share.take(1)) is bool(refused)
    assert (budget.used, budget.refusals) == (held + (not refused), int(bool(refused)))
    share.add(-1)
    assert share.take(1) == ""


def test_others_are_not_harmed_by_one() -> None:
    budget = Budget(100, 40)
    alice = filled(budget, 40)
    assert (alice.tight, budget.share(login="bob").tight) == (True, False)
    filled(budget, 20, "bob")
    assert filled(budget, 20, "carol").tight, "the whole is tight now"


def test_a_login_an_address_and_their_names() -> None:
    budget = Budget(100, 40)
    alice, there = budget.share(login="alice", address="x"), budget.share(address="x")
    assert alice is budget.share(login="alice", address="y")
    assert there is budget.share(address="x")
    assert there is not budget.share(login="x")


def test_what_is_held_already_counts_beyond_the_limit() -> None:
    budget = Budget(100, 40)
    share = budget.share(login="alice")
    share.add(150)
    assert (budget.used, share.used, share.tight) == (150, 150, True)
    assert share.take(1)


def test_tight_until_a_quarter_is_used() -> None:
    budget = Budget(1000, 100)
    share = filled(budget, 50)
    for size, tight in ((0, False), (1, True), (-25, True), (-1, False), (25, False), (1, True)):
        share.add(size)
        assert share.tight is tight, size


def test_all_shares_know_that_the_whole_is_tight_also_later_ones() -> None:
    budget = Budget(100, 90)
    before = budget.share(login="before")
    hog = filled(budget, 51, "hog")
    after = budget.share(login="after")
    assert (before.tight, after.tight) == (True, True)
    hog.add(-27)
    assert (before.tight, after.tight, hog.tight) == (False, False, True)
    hog.add(-24)
    assert not hog.tight
    assert budget.used == 0


def test_shares_that_nobody_uses_are_forgotten() -> None:
    budget = Budget(100, 40)
    for number in range(1000):
        budget.share(address=str(number))
    assert len(budget._shares) == 0


def test_the_sum_is_always_right() -> None:
    rng, budget = random.Random(3), Budget(1000, 300)
    shares = [budget.share(login=str(number)) for number in range(6)]
    held = [0] * 6
    for _ in range(3000):
        at = rng.randrange(6)
        size = rng.randrange(-held[at], 200)
        if size < 0 or rng.random() < 0.1:
            shares[at].add(size)
            held[at] += size
        elif not shares[at].take(size):
            held[at] += size
            assert held[at] <= 300
            assert sum(held) <= 1000
        assert [share.used for share in shares] == held
        assert budget.used == sum(held)
        assert all(share.tight for share in shares) or sum(held) <= 500
