from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator

import pytest

from agent.signals import Stopped, Wakeup


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)]
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)] == before


def readable(wakeup: Wakeup) -> bool:
    return bool(select.select([wakeup.fileno()], [], [], 0)[0])


def test_signals_turn_readable(wakeup: Wakeup) -> None:
    assert not readable(wakeup)
    assert wakeup.drain() == []
    os.kill(os.getpid(), signal.SIGCHLD)
    assert readable(wakeup)
    assert wakeup.drain() == [signal.SIGCHLD]
    assert not readable(wakeup)
    assert wakeup.stopped is None


def test_first_ending_signal_is_kept(wakeup: Wakeup) -> None:
    wakeup.check()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGHUP)
    assert wakeup.stopped == signal.SIGTERM
    with pytest.raises(Stopped):
        wakeup.check()


def test_blocking_phase_is_interrupted(wakeup: Wakeup) -> None:
    wakeup.raising = True
    with pytest.raises(Stopped) as caught:
        os.kill(os.getpid(), signal.SIGHUP)
    assert caught.value.number == signal.SIGHUP


def test_flood_of_signals_does_not_block(wakeup: Wakeup) -> None:
    for _ in range(70_000):
        signal.raise_signal(signal.SIGCHLD)
    assert len(wakeup.drain()) > 1000
