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
from agent.wrap.phases import TABLE, Input, Phase
from agent.wrap.step import Outcome, Step, end_step
from agent.wrap.step_signals import ENDS_STEP, PASSED_ON, UNNAMED
from agent.wrap.tail import Tail
from medusa.guard import Guard

ENVIRON = dict(os.environb)


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    signals = StopSignals(ENDS_STEP, {*PASSED_ON, *UNNAMED}.difference(ENDS_STEP))
    yield signals
    signals.close()


@pytest.fixture
def tail() -> Tail:
    return Tail()


def run(guard: Guard, signals: StopSignals, tail: Tail, *argv: str) -> Outcome:
    timeouts = Timeouts(terminal_interval=0.01, signals_interval=0.01, output_timeout=0.02)
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


# The signals of faults are not sent to this process: its other threads do not block them. tests/archive sends those.
@pytest.mark.parametrize("number", [*PASSED_ON, *UNNAMED[::9]], ids=lambda number: str(int(number)))
def test_signals_are_passed_on(guard: Guard, signals: StopSignals, tail: Tail, number: int) -> None:
    script = f"trap 'exit 9' {int(number)}; kill -{int(number)} $PPID; while :; do sleep 0.01; done"
    outcome = run(guard, signals, tail, "/bin/sh", "-c", script)
    assert (outcome.status, outcome.stopped) == (9, number in ENDS_STEP)


def test_a_step_that_is_stopped_stops_the_agent_too(guard: Guard) -> None:
    """As a shell expects from its jobs. A process of its own is stopped here, not the one that runs the tests."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)  # the kernel stops no process of an orphaned group, and that of the tests may be one
        signals = StopSignals(ENDS_STEP, set(PASSED_ON).difference(ENDS_STEP))
        script = "trap 'exit 7' CONT; kill -TTIN $PPID; while :; do sleep 0.01; done"
        outcome = run(guard, signals, Tail(), "/bin/sh", "-c", script)
        os._exit(outcome.status)
    try:
        assert os.WSTOPSIG(os.waitpid(pid, os.WUNTRACED)[1]) == signal.SIGTTIN
    finally:
        os.kill(pid, signal.SIGCONT)
        assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 7


def test_a_signal_for_the_agents_own_output_does_not_reach_the_step(
    guard: Guard, signals: StopSignals, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    before = os.dup(1)
    os.dup2(writer, 1)
    try:
        script = "trap 'exit 9' PIPE; echo lost; sleep 0.1 & wait $!; exit 7"
        assert run(guard, signals, tail, "/bin/sh", "-c", script).status == 7
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(writer)


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
