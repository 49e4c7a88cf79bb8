from __future__ import annotations

import os
import signal

import pytest

from medusa.client.outcome import Interrupted
from medusa.client.terminal.signals import Signals


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


def test_the_dispositions_found_are_put_back() -> None:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {signum: signal.getsignal(signum) for signum in before} == before


def test_a_signal_ignored_at_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            send(signal.SIGHUP)
            assert signals.take() == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_caller_without_job_control_is_known() -> None:
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        with Signals() as signals, signals.stoppable():
            assert not signals.job_control
            assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTSTP, before)
    with Signals() as signals:
        assert signals.job_control
        with signals.stoppable():
            assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_fatal_ones_raise_where_asked() -> None:
    with Signals() as signals:
        send(signal.SIGWINCH)
        assert signals.take_or_raise() == [signal.SIGWINCH]
        send(signal.SIGTERM)
        with pytest.raises(Interrupted) as caught:
            signals.take_or_raise()
        assert caught.value.signum == signal.SIGTERM


def test_a_blocking_call_can_be_interrupted() -> None:
    with Signals() as signals, pytest.raises(Interrupted), signals.interruptible():
        send(signal.SIGINT)


def test_a_signal_from_before_interrupts_too() -> None:
    with Signals() as signals:
        send(signal.SIGINT)
        with pytest.raises(Interrupted), signals.interruptible():
            pytest.fail("entered")


def test_outside_nothing_is_interrupted() -> None:
    with Signals() as signals:
        with signals.interruptible():
            pass
        send(signal.SIGTERM)
        assert signals.take() == [signal.SIGTERM]


def test_default_lends_the_systems_own_reaction() -> None:
    with Signals() as signals:
        with signals.default(signal.SIGTSTP):
            assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
        send(signal.SIGTSTP)
        assert signals.take() == [signal.SIGTSTP]
