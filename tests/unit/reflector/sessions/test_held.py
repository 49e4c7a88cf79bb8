from __future__ import annotations

import pytest

from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.held import HeldSessions
from tests.waiting import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


def ids(held: HeldSessions, login: str | None = None) -> list[str]:
    return [each.name.session_id for each in held.all(login)]


def test_an_agent_is_remembered_for_a_while_after_it_asked_last(clock: Clock) -> None:
    held = HeldSessions(30.0, clock)
    held.note(SessionName("1", "alice"), "192.0.2.1:1")
    clock.now += 29
    held.note(SessionName("1", "alice"), "192.0.2.1:2")
    held.note(SessionName("2"), "192.0.2.9:1")
    clock.now += 29
    (one,) = held.all("alice")
    assert (one.agent, held.age(one.since), held.age(one.asked)) == ("192.0.2.1:2", 58, 29)
    assert (ids(held), ids(held, ""), ids(held, "bob")) == (["1", "2"], ["2"], [])
    clock.now += 1
    assert (ids(held), len(held)) == ([], 0)
    held.note(SessionName("1", "alice"), "192.0.2.1:3")
    assert held.age(held.all()[0].since) == 0, "it was away"


def test_an_agent_that_has_a_client_is_forgotten(clock: Clock) -> None:
    held = HeldSessions(30.0, clock)
    held.note(SessionName("1"), "")
    for _ in range(2):
        held.forget(SessionName("1"))
    assert len(held) == 0


def test_a_login_cannot_have_more_than_its_share(clock: Clock) -> None:
    held = HeldSessions(30.0, clock, per_login=3, in_all=5)
    held.note(SessionName("other", "bob"), "")
    for number in "1231456":
        held.note(SessionName(number, "alice"), "")
    assert ids(held, "alice") == ["4", "5", "6"]
    for number in "789":
        held.note(SessionName(number), "")
        assert len(held) <= 5
    assert ids(held, "bob") == ["other"], "the logins that have the most make room"
