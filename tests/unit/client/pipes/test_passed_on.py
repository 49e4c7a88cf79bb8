from __future__ import annotations

import signal

from medusa.client.pipes.passed_on import PassedOn


def test_a_signal_that_is_sent_twice_counts_once() -> None:
    passed_on = PassedOn(delay=0.1)
    assert not passed_on.is_double(signal.SIGTERM, 1.0)
    assert passed_on.name(signal.SIGTERM, 1.0) == "TERM"
    assert passed_on.is_double(signal.SIGTERM, 1.05)
    assert not passed_on.is_double(signal.SIGTERM, 1.2)
    assert not passed_on.is_double(signal.SIGINT, 1.05)
    assert passed_on.name(signal.SIGINT, 1.05) is None


def test_signals_that_do_not_end_are_passed_on_each_time() -> None:
    passed_on = PassedOn(delay=0.1)
    assert [passed_on.name(signal.SIGUSR1, at) for at in (0.0, 0.0, 1.0)] == ["USR1"] * 3
    assert passed_on.name(signal.SIGHUP, 1.0) is None
