from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.signals import StopSignals
from agent.timeouts import Timeouts
from agent.wrap.step import ENDS_STEP, PASSED_ON, TABLE, Input, Outcome, Phase, Step, end_step
from agent.wrap.tail import Tail
from medusa.guard import Guard

ENVIRON = dict(os.environb)


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    signals = StopSignals(ENDS_STEP, [number for number in PASSED_ON if number not in ENDS_STEP])
    yield signals
    signals.close()


@pytest.fixture
def tail() -> Tail:
    return Tail()


def run(guard: Guard, signals: StopSignals, tail: Tail, *argv: str) -> Outcome:
    timeouts = Timeouts(terminal_interval=0.01, output_timeout=0.02)
    return Step(list(argv), ENVIRON, signals, guard, tail, timeouts).run()


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("exit 0", Outcome(0, "failed with status 0")),
        ("exit 7", Outcome(7, "failed with status 7")),
        ("kill -KILL $$", Outcome(137, "was killed by SIGKILL (status 137)")),
        ("kill -40 $$", Outcome(168, "was killed by signal 40 (status 168)")),
    ],
)
def test_outcome(guard: Guard, signals: StopSignals, tail: Tail, script: str, outcome: Outcome) -> None:
    assert run(guard, signals, tail, "/bin/sh", "-c", script) == outcome
    started, ended = guard.lines()  # type: ignore[attr-defined]
    assert started.startswith("step ")
    assert ended == started.replace("step", "step ended")


def test_what_cannot_be_started(guard: Guard, signals: StopSignals, tail: Tail, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert run(guard, signals, tail, "/no/such/program")[0] == 127
    assert run(guard, signals, tail, str(plain))[0] == 126
    plain.write_text("exit 5\n")
    plain.chmod(0o755)
    assert run(guard, signals, tail, str(plain))[0] == 5


def test_output_passes_and_is_kept(
    guard: Guard, signals: StopSignals, tail: Tail, capfd: pytest.CaptureFixture[str]
) -> None:
    run(guard, signals, tail, "/bin/sh", "-c", "echo out; echo err >&2")
    assert capfd.readouterr() == ("out\n", "err\n")
    assert sorted(tail.bytes().splitlines()) == [b"err", b"out"]


@pytest.mark.parametrize("number", PASSED_ON)
def test_signals_are_passed_on(guard: Guard, signals: StopSignals, tail: Tail, number: signal.Signals) -> None:
    script = f"trap 'exit 9' {number.value}; kill -{number.value} $PPID; while :; do sleep 0.01; done"
    outcome = run(guard, signals, tail, "/bin/sh", "-c", script)
    assert (outcome.status, outcome.stopped) == (9, number in ENDS_STEP)


EXPECTED = {
    Input.EXITED: (Phase.FLUSHING, None, None),
    Input.OUTPUT_PASSED: (None, Phase.OVER, None),
    Input.STOP_ASKED: (Phase.RUNNING, Phase.OVER, Phase.OVER),
    Input.OUTPUT_EXPIRED: (None, Phase.OVER, None),
}


@pytest.mark.parametrize(("phase", "event"), list(itertools.product(Phase, Input)))
def test_every_pair(phase: Phase, event: Input) -> None:
    assert TABLE.get((phase, event)) == EXPECTED[event][list(Phase).index(phase)]


def test_a_guard_kills_a_step_that_has_not_ended() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        end_step(["session 5", f"step {process.pid}", f"step ended {process.pid}"])
        assert process.poll() is None
        end_step([f"step {process.pid}", "session 5"])
        assert process.wait() == -signal.SIGKILL
    end_step([])
