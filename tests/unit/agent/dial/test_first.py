from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from agent.dial.announce import public_part
from agent.dial.first import FIRST_INTERVAL, LONGEST_INTERVAL, Unreachable, dial
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused
from tests.memory_transport import memory_pair


class Attempts:
    """Answers in order, with a clock that only sleeping moves on."""

    def __init__(self, answers: Iterable[Transport | ConnectRefused]) -> None:
        self._answers: Iterator[Transport | ConnectRefused] = iter(answers)
        self.now = 100.0
        self.pauses: list[float] = []
        self.log: list[str] = []

    def attempt(self) -> Transport:
        answer = next(self._answers)
        if isinstance(answer, ConnectRefused):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def dial(self, retry_for: float, jitter: float = 0.5) -> Transport:
        return dial(self.attempt, retry_for, self.log.append, lambda: jitter, self.sleep, lambda: self.now)


def refused(status: int | None = 503) -> ConnectRefused:
    return ConnectRefused("come back later", status, retryable=True)


def test_first_try_needs_no_patience() -> None:
    link, _ = memory_pair()
    attempts = Attempts([link])
    assert attempts.dial(0) is link
    assert (attempts.pauses, attempts.log) == ([], [])


def test_pauses_double_up_to_a_limit_and_each_try_is_logged() -> None:
    link, _ = memory_pair()
    attempts = Attempts([refused()] * 8 + [link])
    assert attempts.dial(60) is link
    assert attempts.pauses == [FIRST_INTERVAL * 2**n for n in range(5)] + [LONGEST_INTERVAL] * 3
    assert attempts.log[0] == "not connected: come back later (status 503); next try in 0.2 s"
    assert len(attempts.log) == 8


def test_pauses_are_spread() -> None:
    for jitter, factor in ((0.0, 0.5), (0.999, 1.499)):
        link, _ = memory_pair()
        attempts = Attempts([refused(), link])
        attempts.dial(60, jitter)
        assert attempts.pauses == [FIRST_INTERVAL * factor]


def test_patience_ends() -> None:
    attempts = Attempts([refused(None)] * 100)
    with pytest.raises(Unreachable, match=r"^come back later$"):
        attempts.dial(20)
    assert attempts.now <= 120


@pytest.mark.parametrize(
    ("asked", "retry_for", "pauses"), [(7, 60, [7.25]), (0, 60, [0.25]), (7200, 60, [60]), (5, 3, [3])]
)
def test_a_refusal_says_when_to_come_back(asked: float, retry_for: float, pauses: list[float]) -> None:
    link, _ = memory_pair()
    attempts = Attempts([ConnectRefused("busy", 429, retry_after=asked), link])
    assert attempts.dial(retry_for) is link
    assert attempts.pauses == pauses


def test_refusal_for_good_is_not_repeated() -> None:
    attempts = Attempts([ConnectRefused("taken", 409, retryable=False)])
    with pytest.raises(Unreachable, match=r"taken \(status 409\)"):
        attempts.dial(60)
    assert attempts.pauses == []


def test_what_may_be_shown_of_a_url() -> None:
    assert public_part("wss://me:secret@host:1/a%2f/b?signature=secret#secret") == "wss://host:1/a%2f/b"
