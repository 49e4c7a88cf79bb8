from __future__ import annotations

from agent.process.drain import MAX_BYTES, Drain
from agent.timeouts import Timeouts

TIMEOUTS = Timeouts(quiet_timeout=0.25, drain_timeout=2.0)


def drain(*, clogged: bool = False) -> Drain:
    return Drain(100.0, clogged, TIMEOUTS)


def test_over_after_a_quiet_time() -> None:
    subject = drain()
    assert subject.deadline() == 100.25
    assert not subject.over(100.24, clogged=False)
    assert subject.over(100.25, clogged=False)


def test_output_prolongs_it() -> None:
    subject = drain()
    subject.received(10, 100.125)
    assert not subject.over(100.25, clogged=False)
    assert subject.over(100.375, clogged=False)


def test_output_without_end_is_cut_off_by_time() -> None:
    subject = drain()
    steps = 0
    while not subject.over(100 + steps / 10, clogged=False):
        steps += 1
        subject.received(1, 100 + steps / 10)
    assert 19 <= steps <= 21
    assert subject.spent


def test_output_without_end_is_cut_off_by_size() -> None:
    subject = drain()
    subject.received(MAX_BYTES, 100.0)
    assert subject.spent
    assert subject.over(100.0, clogged=False)


def test_end_of_file_ends_it_at_once() -> None:
    subject = drain()
    subject.end_of_file()
    assert subject.over(100.0, clogged=False)


def test_nothing_is_over_while_the_link_is_clogged() -> None:
    subject = drain(clogged=True)
    subject.end_of_file()
    assert not subject.over(200.0, clogged=True)
    assert subject.over(200.0, clogged=False)


def test_no_time_counts_while_the_link_is_clogged() -> None:
    subject = drain(clogged=True)
    for now in (110.0, 120.0):
        subject.not_read(now)
        assert not subject.over(now, clogged=True)
    assert not subject.over(120.1, clogged=False)
    assert subject.over(120.25, clogged=False)
    assert not subject.spent


def test_process_that_was_stopped_loses_one_quiet_time_only() -> None:
    subject = drain()
    subject.received(1, 130.0)
    assert not subject.over(130.0, clogged=False)
    assert subject.deadline() == 130.25


def test_only_the_end_of_file_ends_it() -> None:
    subject = Drain(100.0, False, TIMEOUTS, pipes=True, to_the_end=True)
    assert not subject.over(1e6, clogged=False)
    subject.end_of_file()
    assert subject.over(1e6, clogged=False)
