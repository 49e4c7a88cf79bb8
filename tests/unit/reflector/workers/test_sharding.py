"""The owner of a session: the same in all workers, evenly distributed, unknown without the key."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from medusa.reflector.session_name import SessionName
from medusa.reflector.workers.sharding import KEY_SIZE, owner_of

KEY = bytes(range(KEY_SIZE))
NAMES = [SessionName(f"job-{number}") for number in range(4000)]


def test_is_the_same_in_every_process_and_version() -> None:
    """Workers of one run must agree: these values were computed once."""
    assert [owner_of(SessionName(name), KEY, 4) for name in "abcdefgh"] == [2, 3, 2, 2, 2, 3, 4, 4]


@given(st.text(), st.text(), st.integers(1, 256))
def test_is_a_workers_number(session: str, login: str, workers: int) -> None:
    assert 1 <= owner_of(SessionName(session, login), KEY, workers) <= workers


def test_is_even() -> None:
    for number in Counter(owner_of(name, KEY, 4) for name in NAMES).values():
        assert 850 < number < 1150


def test_depends_on_the_key() -> None:
    other = KEY[::-1]
    same = sum(owner_of(name, KEY, 4) == owner_of(name, other, 4) for name in NAMES)
    assert 850 < same < 1150


def test_depends_on_the_login() -> None:
    logins = [owner_of(SessionName("id", f"login{number}"), KEY, 4) for number in range(40)]
    assert len(set(logins)) == 4
