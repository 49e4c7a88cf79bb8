"""How many connections may be open whose peers have not identified themselves: chance is the test's own."""

from __future__ import annotations

import math

import pytest

from medusa.protocol.errors import HandshakeError
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.startups import COPIES, FROM_SOURCE, IN_ALL, Dropped, Startup, Startups
from medusa.reflector.relay.budget import Budget
from medusa.transports.relayed import UNCOUNTED

MIB = 1 << 20


class Chance:
    """The numbers that decide; at first the one that drops least."""

    def __init__(self) -> None:
        self.next = 0.999

    def __call__(self) -> float:
        return self.next


def startups(chance: Chance, most: tuple[int, int, int] = (10, 30, 20), one: int = 0) -> Startups:
    return Startups(ReflectorConfig(max_startups=most, per_source_max_startups=one), chance)


def enter(places: Startups, number: int, source: str | None = None, room: float = math.inf) -> list[Startup]:
    return [places.enter(source, room) for _ in range(number)]


def dropped(places: Startups, why: str, source: str | None = None, room: float = math.inf, early: bool = True) -> None:
    before = len(places)
    with pytest.raises(Dropped) as caught:
        places.enter(source, room, early=early)
    assert (caught.value.why, len(places)) == (why, before)


@pytest.mark.parametrize(
    ("there", "percent"), [(9, 0), (10, 30), (15, 65), (19, 93), (20, 100)], ids=["9", "10", "15", "19", "20"]
)
def test_the_more_there_are_the_more_are_dropped(there: int, percent: int) -> None:
    chance = Chance()
    places = startups(chance)
    enter(places, there)
    if percent:
        chance.next = percent / 100 - 0.001
        dropped(places, IN_ALL)
    if percent < 100:
        chance.next = percent / 100 + 0.001
        enter(places, 1)


def test_those_that_another_worker_admitted_are_dropped_only_at_the_bound() -> None:
    chance = Chance()
    places = startups(chance)
    chance.next = 0.0
    for _ in range(20):
        places.enter(None, math.inf, early=False)
    dropped(places, IN_ALL, early=False)


def test_the_descriptors_bound_them_as_well() -> None:
    for most in ((10, 30, 20), (0, 100, 0)):
        places = startups(Chance(), most)
        enter(places, 5, room=5.0)
        dropped(places, IN_ALL, room=5.0)


@pytest.mark.parametrize(("there", "percent"), [(4, 0), (5, 30), (7, 58)])
def test_with_few_descriptors_some_are_dropped_earlier(there: int, percent: int) -> None:
    chance = Chance()
    places = startups(chance)
    enter(places, there, room=10.0)
    chance.next = percent / 100 + 0.001
    enter(places, 1, room=10.0)[0].end()
    if percent:
        chance.next = percent / 100 - 0.001
        dropped(places, IN_ALL, room=10.0)


def test_one_source_gets_its_own_places_only() -> None:
    places = startups(Chance(), one=2)
    held = enter(places, 2, "a")
    dropped(places, FROM_SOURCE, "a")
    enter(places, 1, "b")
    enter(places, 5)
    held[0].end()
    held[0].end()
    enter(places, 1, "a")
    dropped(places, FROM_SOURCE, "a")


def test_a_connection_moves_to_the_client_that_a_proxy_names() -> None:
    places = startups(Chance(), one=1)
    first, second = enter(places, 2)
    first.move("a")
    first.move("a")
    with pytest.raises(Dropped):
        second.move("a")
    first.move("b")
    second.move("a")
    second.end()
    second.move("b")
    assert len(places) == 1
    first.end()
    assert (len(places), dict(places._by_source)) == (0, {})


def test_what_has_come_is_counted_until_the_peer_has_identified_itself() -> None:
    budget = Budget(MIB, MIB)
    place = startups(Chance()).enter(None, math.inf)
    place.share = budget.share(address="x")
    for _ in range(10):
        place.hold(200)
    assert budget.used == 0, "an ordinary head is not counted"
    place.hold(10_000)
    assert budget.used == COPIES * 12_000 - UNCOUNTED
    with pytest.raises(HandshakeError, match=r"\(--max-held") as caught:
        place.hold(MIB)
    assert (caught.value.http_status, caught.value.headers) == (503, (("Retry-After", "5"),))
    for _ in range(2):
        place.end()
    place.hold(10_000)
    assert budget.used == 0
