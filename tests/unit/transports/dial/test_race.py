from __future__ import annotations

from itertools import pairwise

import pytest

from medusa.transports.dial.race import MAX_ADDRESSES, Address, Race, interleaved

FOUR, SIX = 2, 10
"""Two families of addresses."""


def addresses(text: str) -> list[Address]:
    """`4a 6b`: an address `a` of IPv4, then an address `b` of IPv6."""
    return [Address(FOUR if word[0] == "4" else SIX, (word[1:], 80)) for word in text.split()]


def names(found: list[Address]) -> str:
    return "".join(address.host for address in found)


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ("", ""),
        ("4a 4b", "ab"),
        ("6a 6b 6c 4d 4e", "adbec"),
        ("4a 6b 6c 6d", "abcd"),
        ("4a 4b 6c", "acb"),
        ("4a 6b 4a 6b 4c", "abc"),
        (" ".join(f"4{n:x}" for n in range(40)), "".join(f"{n:x}" for n in range(MAX_ADDRESSES))),
    ],
)
def test_families_take_turns_and_no_address_comes_twice(given: str, order: str) -> None:
    assert names(interleaved(addresses(given))) == order


def test_an_attempt_begins_when_the_one_before_was_not_answered_in_time_or_has_failed() -> None:
    race = Race(addresses("4a 4b 4c"), delay=10)
    assert names([race.begin(100)]) == "a"  # type: ignore[list-item]
    assert (race.begin(109), race.next_at()) == (None, 110)
    assert names([race.begin(110)]) == "b"  # type: ignore[list-item]
    race.failed()
    assert race.next_at() < 110
    assert names([race.begin(110)]) == "c"  # type: ignore[list-item]
    assert (race.begin(1000), race.next_at(), list(race.left)) == (None, float("inf"), [])


def test_the_times_of_the_attempts_are_a_delay_apart() -> None:
    race, times = Race(addresses("4a 6b 4c 6d"), delay=10), [0.0]
    while race.begin(times[-1]):
        times.append(race.next_at())
    assert {later - sooner for sooner, later in pairwise(times[:-1])} == {10}
