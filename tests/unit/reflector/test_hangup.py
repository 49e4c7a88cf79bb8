from __future__ import annotations

import signal

import pytest

from medusa.reflector.hangup import Hangup, has_terminal
from tests.waiting import Clock

TERMINAL, SIGNAL, LOOK = "the terminal ends", "SIGHUP", "look"


@pytest.mark.parametrize(
    ("starts_on_one", "ignored", "events", "stops"),
    [
        (True, False, [(0, TERMINAL), (0, SIGNAL)], True),
        (True, False, [(0, TERMINAL), (1, LOOK), (4, SIGNAL)], True),
        # The signal overtakes the end of the terminal.
        (True, False, [(0, SIGNAL), (1, TERMINAL), (1, LOOK)], True),
        # Somebody sends it to reload.
        (True, False, [(0, SIGNAL), (10, SIGNAL)], False),
        # `&` and disown, or `&` and exit: the terminal goes without a signal, and a reload comes later.
        (True, False, [(0, TERMINAL), (1, LOOK), (10, SIGNAL)], False),
        (True, False, [(0, SIGNAL), (2, TERMINAL), (2, LOOK)], False),
        # nohup
        (True, True, [(0, TERMINAL), (0, SIGNAL)], False),
        # A service.
        (False, False, [(0, SIGNAL), (1, LOOK), (2, SIGNAL)], False),
    ],
)
def test_what_a_sighup_means(starts_on_one: bool, ignored: bool, events: list[tuple[float, str]], stops: bool) -> None:
    clock, there = Clock(), [starts_on_one]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        hangup = Hangup(lambda: there[0], clock)
    finally:
        signal.signal(signal.SIGHUP, before)
    begun, said = clock.now, False
    for at, event in events:
        clock.now = begun + at
        there[0] &= event != TERMINAL
        said = {SIGNAL: hangup.signalled, LOOK: hangup.look}.get(event, bool)()
    assert said is stops


def test_a_shortage_of_descriptors_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("os.open", fail)
    assert has_terminal()
