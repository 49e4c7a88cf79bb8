from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from agent.signals import Stopped, StopSignals


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    signals = StopSignals()
    yield signals
    signals.close()


def test_first_stopping_signal_is_kept(signals: StopSignals) -> None:
    signals.check()
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    assert signals.stopped == signal.SIGTERM
    assert signals.take() == [signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP]
    with pytest.raises(Stopped):
        signals.check()


def test_blocking_phase_is_interrupted_once(signals: StopSignals) -> None:
    signals.raising = True
    with pytest.raises(Stopped) as caught:
        os.kill(os.getpid(), signal.SIGHUP)
    assert caught.value.number == signal.SIGHUP
    os.kill(os.getpid(), signal.SIGTERM)
