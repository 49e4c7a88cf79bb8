from __future__ import annotations

import pytest

from medusa.client.session.silence import Silence
from medusa.client.timeouts import Timeouts


def heard_of(silence: Silence, heard: dict[int, float], until: int) -> tuple[list[int], list[tuple[int, str]]]:
    """At which seconds the reflector is asked, and what the user is told; `heard`: what has last been heard when."""
    asked, told, last = [], [], 0.0
    for now in range(until):
        last = heard.get(now, last)
        ask, words = silence.check(now, last)
        asked += [now] * ask
        told += [(now, words)] * bool(words)
        assert silence.deadline > now
    return asked, told


NO_WORD = "no word from the reflector for %d s"


@pytest.mark.parametrize(
    ("heard", "asked", "told"),
    [
        ({}, [2], [(6, NO_WORD % 6)]),
        ({2: 2, 4: 4, 5: 5, 7: 7}, [9], [(13, NO_WORD % 6)]),
        ({10: 10}, [2, 12], [(6, NO_WORD % 6), (10, "the reflector is back after 10 s"), (16, NO_WORD % 6)]),
    ],
)
def test_what_a_user_is_told_of_a_silence(heard: dict[int, float], asked: list[int], told: list[object]) -> None:
    assert heard_of(Silence(0.0), heard, 18) == (asked, told)


def test_the_keepalive_asks_if_nobody_uses_the_session() -> None:
    """An idle session costs nothing but keepalives; a silence is still told of."""
    heard = {now: float(now) for now in range(0, 106, 15)}
    asked, told = heard_of(Silence(0.0, Timeouts(attention_timeout=0.0)), heard, 140)
    assert (asked, told) == ([], [(124, NO_WORD % 19)])


def test_a_client_that_was_stopped_itself_asks_first() -> None:
    silence = Silence(0.0)
    assert silence.check(100.0, 0.0) == (False, "")
    silence.used(100.0)
    assert silence.check(101.0, 101.0) == (False, "")
    assert silence.check(103.0, 101.0) == (True, "")


def test_a_silent_link_is_given_up_as_soon_as_the_user_is_told_and_uses_it() -> None:
    silence = Silence(0.0)
    silence.check(2.0, 0.0)
    assert not silence.is_lost(5.9)
    assert silence.check(6.0, 0.0) == (False, NO_WORD % 6)
    assert silence.is_lost(6.0)
    silence.restart(20.0)
    assert silence.check(20.0, 20.0) == (False, "")
    assert not silence.is_lost(20.0)


def test_a_silent_link_that_nobody_uses_is_given_up_when_somebody_types() -> None:
    silence = Silence(0.0, Timeouts(attention_timeout=1.0))
    for now in (15.0, 19.0):
        silence.check(now, 0.0)
    assert not silence.is_lost(25.0)
    silence.used(25.0)
    assert silence.is_lost(25.5)
