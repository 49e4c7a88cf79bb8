"""When what died is started again."""

from __future__ import annotations

from medusa.reflector.workers.backoff import LONGEST, STEADY, Backoff


def test_at_once_then_later_and_later() -> None:
    backoff = Backoff()
    assert [backoff.after(0.0) for _ in range(10)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST, LONGEST]


def test_who_lived_is_forgiven() -> None:
    backoff = Backoff()
    assert [backoff.after(lived) for lived in (1, STEADY - 1, STEADY, STEADY + 1, 1)] == [0, 0.1, 0, 0, 0.1]


def test_never_overflows() -> None:
    backoff = Backoff()
    assert [backoff.after(0.0) for _ in range(100)][-1] == LONGEST
