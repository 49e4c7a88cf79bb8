from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator

import pytest

from medusa.signal_pipe import SignalPipe, signal_name, signal_number

NUMBERS = (signal.SIGTERM, signal.SIGCHLD, signal.SIGWINCH)


@pytest.fixture
def pipe() -> Iterator[SignalPipe]:
    before = [signal.getsignal(number) for number in NUMBERS]
    pipe = SignalPipe(NUMBERS)
    yield pipe
    pipe.close()
    assert [signal.getsignal(number) for number in NUMBERS] == before


def readable(pipe: SignalPipe) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])


def test_signals_become_readable_in_order(pipe: SignalPipe) -> None:
    assert not readable(pipe)
    assert pipe.take() == []
    os.kill(os.getpid(), signal.SIGCHLD)
    os.kill(os.getpid(), signal.SIGTERM)
    assert readable(pipe)
    assert pipe.take() == [signal.SIGCHLD, signal.SIGTERM]
    assert not readable(pipe)


def test_flood_of_signals_does_not_block(pipe: SignalPipe) -> None:
    for _ in range(70_000):
        signal.raise_signal(signal.SIGCHLD)
    assert len(pipe.take()) > 1000


def test_pipes_nest() -> None:
    outer = SignalPipe([signal.SIGWINCH])
    inner = SignalPipe([signal.SIGWINCH])
    inner.close()
    os.kill(os.getpid(), signal.SIGWINCH)
    assert outer.take() == [signal.SIGWINCH]
    outer.close()


def test_every_signal_has_a_name() -> None:
    assert [signal_name(number) for number in (signal.SIGTERM, 35)] == ["SIGTERM", "signal 35"]


@pytest.mark.parametrize(
    ("name", "number"),
    [("TERM", signal.SIGTERM), ("SIGKILL", signal.SIGKILL), ("", None), ("term", None), ("9", None), ("SIG_DFL", None)],
)
def test_numbers_of_names(name: str, number: int | None) -> None:
    assert signal_number(name) == number
