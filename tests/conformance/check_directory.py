"""What every directory must do. A store passes if each of CHECKS passes with a new, empty directory of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from medusa.directory import Claim, Directory, Owner, SessionExists, StaleClaim
from tests.waiting import PATIENCE

HERE, THERE = Owner("10.0.0.1:8381"), Owner("10.0.0.2:8381")
RACERS, ROUNDS = 8, 20


@dataclass
class Store:
    """A store as two reflectors see it (one object if the store lives in a process), and its clock."""

    one: Directory
    other: Directory
    pass_time: Callable[[float], None]


def claimed(directory: Directory, session_id: str = "s", owner: Owner = HERE) -> bool:
    try:
        directory.claim(session_id, owner)
    except SessionExists:
        return False
    return True


def check_an_empty_directory_has_no_claims(store: Store) -> None:
    assert store.one.lookup("s") is None


def check_a_claim_is_seen_by_all(store: Store) -> None:
    claim = store.one.claim("s", HERE)
    assert (claim.session_id, claim.owner) == ("s", HERE)
    assert store.one.lookup("s") == store.other.lookup("s") == HERE
    assert store.other.lookup("S") is None


def check_a_second_claim_is_refused_with_the_holder(store: Store) -> None:
    claim = store.one.claim("s", HERE)
    for directory in (store.one, store.other):
        with pytest.raises(SessionExists) as caught:
            directory.claim("s", THERE)
        assert (caught.value.owner, caught.value.claim) == (HERE, claim)
    assert store.one.lookup("s") == HERE


def check_ids_are_independent(store: Store) -> None:
    ids = ["s", "S", "s ", "", "__proto__", "../s", "s\0", "é", "x" * 10_000]
    claims = [store.one.claim(session_id, HERE) for session_id in ids]
    store.one.release(claims[0])
    assert [store.other.lookup(session_id) for session_id in ids] == [None, *[HERE] * (len(ids) - 1)]


def check_release_frees_the_id(store: Store) -> None:
    store.one.release(store.one.claim("s", HERE))
    assert store.other.lookup("s") is None
    assert store.other.claim("s", THERE).owner == THERE


def check_releasing_twice_does_nothing(store: Store) -> None:
    claim = store.one.claim("s", HERE)
    store.one.release(claim)
    store.one.release(claim)
    assert claimed(store.one)


def check_a_claim_expires(store: Store) -> None:
    store.one.claim("s", HERE, ttl=100)
    store.pass_time(90)
    assert store.other.lookup("s") == HERE
    assert not claimed(store.other)
    store.pass_time(11)
    assert store.other.lookup("s") is None
    assert claimed(store.other, owner=THERE)


def check_renewing_counts_from_now(store: Store) -> None:
    claim = store.one.claim("s", HERE, ttl=100)
    for _ in range(3):
        store.pass_time(80)
        store.one.renew(claim, ttl=100)
    store.pass_time(90)
    assert store.other.lookup("s") == HERE
    store.pass_time(11)
    assert store.other.lookup("s") is None


def check_an_expired_claim_cannot_be_renewed(store: Store) -> None:
    claim = store.one.claim("s", HERE, ttl=10)
    store.pass_time(11)
    with pytest.raises(StaleClaim):
        store.one.renew(claim)
    assert store.one.lookup("s") is None


def check_a_released_claim_cannot_be_renewed(store: Store) -> None:
    claim = store.one.claim("s", HERE)
    store.one.release(claim)
    with pytest.raises(StaleClaim):
        store.one.renew(claim)
    assert store.one.lookup("s") is None


def check_an_old_claim_does_not_change_a_new_one(store: Store) -> None:
    old = store.one.claim("s", HERE, ttl=10)
    store.pass_time(11)
    new = store.other.claim("s", HERE, ttl=10)
    assert new.token != old.token
    with pytest.raises(StaleClaim):
        store.one.renew(old)
    store.one.release(old)
    assert store.one.lookup("s") == HERE
    store.other.renew(new)


def check_a_claim_is_inherited(store: Store) -> None:
    old = store.one.claim("s", HERE, ttl=100)
    new = store.other.inherit(old, ttl=200)
    assert (new.session_id, new.owner) == ("s", HERE)
    assert new.token != old.token
    store.one.release(old)
    with pytest.raises(StaleClaim):
        store.one.renew(old)
    store.pass_time(150)
    assert store.one.lookup("s") == HERE
    store.other.renew(new)


def check_a_claim_that_does_not_hold_is_not_inherited(store: Store) -> None:
    old = store.one.claim("s", HERE)
    store.one.inherit(old)
    with pytest.raises(StaleClaim):
        store.other.inherit(old)
    gone = store.one.claim("t", HERE, ttl=10)
    store.pass_time(11)
    with pytest.raises(StaleClaim):
        store.one.inherit(gone)
    assert store.one.lookup("t") is None


def check_a_claim_is_replaced_by_that_of_another_owner(store: Store) -> None:
    old = store.one.claim("s", HERE, ttl=100)
    new = store.other.inherit(old, ttl=100, owner=THERE)
    assert new.owner == store.one.lookup("s") == THERE
    with pytest.raises(StaleClaim):
        store.one.renew(old)
    with pytest.raises(StaleClaim):
        store.one.inherit(old, owner=THERE)


def check_a_claim_says_when_it_was_made(store: Store) -> None:
    before = int(time.time())
    store.one.claim("s", HERE)
    with pytest.raises(SessionExists) as caught:
        store.other.claim("s", THERE)
    assert before <= caught.value.claim.made_at <= time.time()


def check_all_claims_are_listed(store: Store) -> None:
    store.one.claim("old", HERE, ttl=10)
    store.pass_time(11)
    store.one.claim("a*", HERE)
    store.other.claim("é", THERE)
    store.one.release(store.one.claim("gone", HERE))
    assert store.one.entries(10) == store.other.entries(10) == {"a*": HERE, "é": THERE}
    assert len(store.one.entries(1)) == 1
    assert store.one.entries(0) == {}


def check_a_forged_token_changes_nothing(store: Store) -> None:
    claim = store.one.claim("s", HERE)
    forged = Claim("s", HERE, claim.token[:-1] + ("0" if claim.token[-1] != "0" else "1"))
    store.one.release(forged)
    assert store.one.lookup("s") == HERE
    with pytest.raises(StaleClaim):
        store.one.renew(forged)


LEASE, OTHER_LEASE = "00c0ffee", "0ddba115"


def check_a_claim_holds_as_long_as_its_lease(store: Store) -> None:
    assert store.one.grant(LEASE, ttl=100)
    claim = store.one.claim("s", HERE, ttl=1000, lease=LEASE)
    assert claim.lease == LEASE
    for _ in range(3):
        store.pass_time(80)
        assert store.one.keep(LEASE, ttl=100) is not None
    assert store.other.lookup("s") == HERE
    assert not claimed(store.other)
    assert store.other.entries(10) == {"s": HERE}
    store.pass_time(101)
    for directory in (store.one, store.other):
        assert directory.lookup("s") is None
        assert directory.entries(10) == {}
    assert claimed(store.other, owner=THERE)
    assert store.one.lookup("s") == THERE
    assert store.one.keep(LEASE) is None
    with pytest.raises(StaleClaim):
        store.one.renew(claim)
    store.one.release(claim)
    assert store.one.lookup("s") == THERE


def check_a_lease_keeps_no_claim_that_expires(store: Store) -> None:
    store.one.grant(LEASE, ttl=1000)
    store.one.claim("s", HERE, ttl=100, lease=LEASE)
    store.pass_time(101)
    assert claimed(store.other, owner=THERE)


def check_a_revoked_lease_frees_its_ids_only(store: Store) -> None:
    for lease in (LEASE, OTHER_LEASE):
        store.one.grant(lease)
    store.one.claim("s", HERE, lease=LEASE)
    store.one.claim("t", HERE, lease=OTHER_LEASE)
    store.one.claim("u", HERE)
    for _ in range(2):
        store.one.revoke(LEASE)
    assert store.other.entries(10) == {"t": HERE, "u": HERE}
    store.other.claim("s", THERE, lease=OTHER_LEASE)
    assert store.one.entries(10) == {"s": THERE, "t": HERE, "u": HERE}


def check_a_lease_is_granted_once(store: Store) -> None:
    assert store.one.grant(LEASE, ttl=100)
    assert not store.other.grant(LEASE)
    assert store.one.grant(OTHER_LEASE)
    assert store.one.keep("11111111") is None
    assert store.one.entries(10) == {}


def check_who_keeps_a_lease_learns_that_it_was_touched(store: Store) -> None:
    store.one.grant(LEASE, ttl=100)
    texts = [store.one.keep(LEASE, ttl=100), store.one.keep(LEASE, ttl=100)]
    assert len(set(texts)) == 1
    for _ in range(2):
        store.other.touch(LEASE)
        texts.append(store.one.keep(LEASE, ttl=100))
    assert len(set(texts)) == 3
    store.other.touch(LEASE)
    store.pass_time(101)
    store.other.touch(LEASE)
    assert store.one.keep(LEASE) is None, "that it was touched has not made it longer, nor begun it again"


def check_a_claim_is_told_to_the_directory_again_under_a_new_lease(store: Store) -> None:
    """Also if the old lease has ended, as long as no other reflector has claimed the id."""
    store.one.grant(LEASE, ttl=100)
    old = store.one.claim("s", HERE, ttl=1000, lease=LEASE)
    store.pass_time(101)
    store.one.grant(OTHER_LEASE)
    new = store.one.inherit(old, lease=OTHER_LEASE)
    assert (new.owner, new.lease) == (HERE, OTHER_LEASE)
    assert store.other.lookup("s") == HERE
    assert not claimed(store.other, owner=THERE)


def check_one_of_many_takes_what_a_dead_lease_leaves(store: Store) -> None:
    for number in range(ROUNDS):
        store.one.claim(f"s{number}", Owner("gone"), lease=LEASE)
        won = race(store, f"s{number}")
        assert len(won) == 1
        assert store.one.lookup(f"s{number}") == Owner(won[0])


def check_one_of_many_simultaneous_claims_wins(store: Store) -> None:
    for number in range(ROUNDS):
        won = race(store, f"s{number}")
        assert len(won) == 1
        assert store.one.lookup(f"s{number}") == Owner(won[0])


def race(store: Store, session_id: str) -> list[str]:
    start, won = threading.Barrier(RACERS), list[str]()

    def run(name: str, directory: Directory) -> None:
        start.wait(PATIENCE)
        if claimed(directory, session_id, Owner(name)):
            won.append(name)

    views = (store.one, store.other)
    threads = [threading.Thread(target=run, args=(str(at), views[at % 2])) for at in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return won


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
