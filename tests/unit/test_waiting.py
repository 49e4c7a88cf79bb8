"""wait_until returns the value, or names what did not come."""

from __future__ import annotations

import pytest

from tests.waiting import MS, Deadline, wait_until


def test_the_true_value_is_returned() -> None:
    values = iter([0, None, "", "there"])
    assert wait_until(lambda: next(values)) == "there"


def test_what_does_not_come_is_named() -> None:
    with pytest.raises(AssertionError, match="the moon"):
        wait_until(lambda: False, "the moon", seconds=10 * MS)


def test_a_deadline_runs_out_once() -> None:
    deadline = Deadline(0)
    assert deadline.passed
    assert deadline.left == 0.0
    assert 0 < Deadline(60).left <= 60
