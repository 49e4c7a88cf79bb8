from __future__ import annotations

import os
import signal

import pytest

from medusa.client.outcome import Disconnected, Interrupted
from medusa.client.terminal.signals import Signals
from tests.unit.client.peers import ignored


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


def test_the_dispositions_found_are_put_back() -> None:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {signum: signal.getsignal(signum) for signum in before} == before


def test_a_signal_ignored_at_the_start_stays_ignored() -> None:
    with ignored(signal.SIGHUP), Signals() as signals:
        send(signal.SIGHUP)
        assert signals.take() == []


def test_a_caller_without_job_control_is_known(signals: Signals) -> None:
    assert signals.job_control
    with signals.stoppable():
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    with ignored(signal.SIGTSTP), Signals() as signals, signals.stoppable():
        assert not signals.job_control
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN


def test_fatal_ones_raise_where_asked(signals: Signals) -> None:
    send(signal.SIGWINCH)
    assert signals.take_or_raise() == [signal.SIGWINCH]
    send(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught:
        signals.take_or_raise()
    assert caught.value.signum == signal.SIGTERM


def test_a_blocking_call_can_be_interrupted_also_by_a_signal_from_before(signals: Signals) -> None:
    with pytest.raises(Interrupted), signals.interruptible():
        send(signal.SIGINT)
    send(signal.SIGINT)
    with pytest.raises(Interrupted), signals.interruptible():
        pytest.fail("entered")


def test_outside_nothing_is_interrupted(signals: Signals) -> None:
    with signals.interruptible():
        pass
    send(signal.SIGTERM)
    assert signals.take() == [signal.SIGTERM]


def test_default_lends_the_systems_own_reaction(signals: Signals) -> None:
    with signals.default(signal.SIGTSTP):
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    send(signal.SIGTSTP)
    assert signals.take() == [signal.SIGTSTP]


def test_the_terminal_cannot_stop_it_but_stops_what_asks(signals: Signals) -> None:
    for signum in (signal.SIGTTIN, signal.SIGTTOU):
        send(signum)
    assert sorted(signals.take()) == [signal.SIGTTIN, signal.SIGTTOU]
    with signals.asking():
        assert signal.getsignal(signal.SIGTTOU) is signal.SIG_DFL


def test_a_disconnect_acts_like_a_signal(signals: Signals) -> None:
    with pytest.raises(Disconnected), signals.interruptible():
        signals.disconnect()
    with pytest.raises(Disconnected, match="disconnected"):
        signals.take_or_raise()
