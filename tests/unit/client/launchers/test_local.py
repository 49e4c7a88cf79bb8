from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medusa.client.cleanup.undo import left_open
from medusa.client.launchers.base import JobRequest, Launcher, Settings
from medusa.client.launchers.local import LocalLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from tests.unit.client.peers import Told
from tests.waiting import wait_until

BASE = "http://127.0.0.1:1"
REQUEST = JobRequest(
    session_url=lambda _: f"{BASE}/attach/4711/slave",
    archive_url=f"{BASE}/agent.sh",
    insecure_tls=True,
    environ={"https_proxy": "p"},
)

Launch = Callable[..., LocalLauncher]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def launch(tmp_path: Path, told: Told) -> Iterator[Launch]:
    """Submits a job whose archive is the given shell script."""
    launchers = []

    def launch(script: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> LocalLauncher:
        archive = tmp_path / "agent.sh"
        archive.write_text(script)
        launcher = LocalLauncher(Settings(archive=str(archive), timeouts=timeouts), Ledger(told))
        launchers.append(launcher)
        launcher.submit(REQUEST)
        return launcher

    yield launch
    for launcher in launchers:
        launcher.cancel()


def ended(launcher: Launcher) -> str:
    wait_until(lambda: not launcher.poll().alive, "the job to end")
    return launcher.poll().words


def test_a_kept_job_is_left_alone_by_the_guard_until_it_is_cancelled(launch: Launch, told: Told) -> None:
    launcher = launch("sleep 60")
    (directory, group) = left_open(told.lines)
    assert launcher.keep()
    assert left_open(told.lines) == [directory, ("await", group[1])]
    launcher.cancel()
    assert left_open(told.lines) == []


def test_the_agent_gets_its_configuration_by_a_pipe(launch: Launch) -> None:
    launcher = launch('test "$1 $2" = "--config /dev/stdin" && test -p /dev/stdin && cat && stat -c %a ..')
    assert ended(launcher) == "ended with status 0"
    config, mode = launcher.log_tail()[0].rsplit("}", 1)
    assert json.loads(config + "}") == REQUEST.config()
    assert mode == "700"


def test_a_prepared_agent_waits_for_its_configuration(tmp_path: Path) -> None:
    archive, begun = tmp_path / "agent.sh", tmp_path / "begun"
    archive.write_text(f'echo "$https_proxy" >{begun}; cat')
    with LocalLauncher(Settings(archive=str(archive)), Ledger()) as launcher:
        launcher.prepare({"https_proxy": "early"})
        wait_until(begun.exists, "the agent to start")
        assert launcher.poll().alive
        launcher.submit(REQUEST)
        assert ended(launcher) == "ended with status 0"
        assert launcher.log_tail() == [json.dumps(REQUEST.config())]
        assert begun.read_text() == "early\n"


def test_an_agent_that_has_ended_early_is_found_by_asking(tmp_path: Path) -> None:
    archive = tmp_path / "agent.sh"
    archive.write_text("echo broken; exit 3")
    with LocalLauncher(Settings(archive=str(archive)), Ledger()) as launcher:
        launcher.prepare({})
        assert ended(launcher) == "ended with status 3"
        launcher.submit(REQUEST)
        assert (launcher.poll().words, launcher.log_tail()) == ("ended with status 3", ["broken"])


def test_an_agent_without_a_session_is_ended_at_once(tmp_path: Path, told: Told) -> None:
    archive, begun = tmp_path / "agent.sh", tmp_path / "begun"
    archive.write_text(f"trap '' TERM; echo $$ >{begun}.new; mv {begun}.new {begun}; while :; do sleep 60; done")
    patient = Timeouts(kill_grace=1000.0)
    with LocalLauncher(Settings(archive=str(archive), timeouts=patient), Ledger(told)) as launcher:
        launcher.prepare({})
        wait_until(begun.exists, "the agent to start")
    assert left_open(told.lines) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


def test_the_environment_is_clean(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SECRET", "x"), ("SSH_AUTH_SOCK", "x"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("TERM", "x")):
        monkeypatch.setenv(name, value)
    launcher = launch("env; pwd; ls -a; sed -n s/^Sid:.//p /proc/self/status")
    assert ended(launcher) == "ended with status 0"
    log = launcher._log.read_text().splitlines()
    environ = dict(line.split("=", 1) for line in log if "=" in line)
    assert {"SECRET", "SSH_AUTH_SOCK", "TERM"}.isdisjoint(environ)
    assert (environ["LC_ALL"], environ["TZ"], environ["HOME"]) == ("C.UTF-8", "UTC", os.environ["HOME"])
    assert environ["https_proxy"] == "p"
    directory = launcher._log.parent
    assert environ["TMPDIR"] == f"{directory}/tmp"
    assert log[-3:] == [f"{directory}/work", ".", ".."]


@pytest.mark.parametrize("executable", ["", None, "/removed/python3"])
def test_a_python_that_is_not_there_is_not_handed_over(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    launcher = launch("env")
    assert ended(launcher) == "ended with status 0"
    assert "MEDUSA_" not in launcher._log.read_text()


def test_the_job_has_a_process_session_of_its_own(launch: Launch) -> None:
    launcher = launch("exec sleep 60")
    assert launcher._process is not None
    assert os.getsid(launcher._process.pid) == launcher._process.pid
    assert launcher.describe() == f"local job {launcher._process.pid}"
    assert launcher.poll().words == "running"


def test_cancel_ends_the_whole_group_and_leaves_nothing(launch: Launch, told: Told) -> None:
    launcher = launch("trap '' HUP; sleep 60 & touch marker; wait")
    process, directory = launcher._process, launcher._log.parent
    assert process is not None
    wait_until((directory / "work" / "marker").exists)
    assert left_open(told.lines) == [("directory", str(directory)), ("group", str(process.pid))]
    launcher.cancel()
    launcher.cancel()
    assert process.returncode == -signal.SIGTERM
    assert not directory.exists()
    assert left_open(told.lines) == []


def test_cancel_kills_a_job_that_ignores_sigterm(launch: Launch) -> None:
    launcher = launch("trap '' TERM; touch marker; while :; do sleep 0.05; done", Timeouts(kill_grace=0.1))
    process = launcher._process
    assert process is not None
    wait_until((launcher._log.parent / "work" / "marker").exists)
    launcher.cancel()
    assert process.returncode == -signal.SIGKILL


def test_cancel_also_ends_children_of_a_job_that_has_ended(launch: Launch) -> None:
    launcher = launch("sleep 60 & echo $!")
    assert ended(launcher) == "ended with status 0"
    orphan = int(launcher.log_tail()[0])
    launcher.cancel()
    wait_until(lambda: not Path(f"/proc/{orphan}").exists(), "the orphan to end")


def test_finish_gives_the_job_time_to_end_by_itself(launch: Launch) -> None:
    launcher = launch('while ! test -e go; do sleep 0.02; done; echo bye > "$2".said; exec sleep 0.1')
    process, said = launcher._process, launcher._log.parent / "config.json.said"
    assert process is not None
    (launcher._log.parent / "work" / "go").touch()
    begun = time.monotonic()
    launcher.finish(60, clean=True)
    assert process.returncode == 0
    assert not said.exists()
    assert time.monotonic() - begun < 60


def test_the_end_of_a_job_and_its_log(launch: Launch) -> None:
    launcher = launch("echo no python3 >&2; printf '\\033[2J'; exit 127")
    assert ended(launcher) == "ended with status 127"
    assert launcher.log_tail() == ["no python3", "\\x1b[2J"]
    assert ended(launch("kill -9 $$")) == "killed by SIGKILL"


@pytest.mark.parametrize(
    ("settings", "why"), [(Settings(object="/x"), "OBJECT"), (Settings(archive="/none"), "no agent archive at /none")]
)
def test_unusable_settings_are_refused_before_anything_starts(settings: Settings, why: str) -> None:
    with pytest.raises(Failure, match=why):
        LocalLauncher(settings, Ledger())


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: Told) -> None:
    archive = tmp_path / "agent.sh"
    archive.touch()

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with (
        LocalLauncher(Settings(archive=str(archive)), Ledger(told)) as launcher,
        pytest.raises(Failure, match="cannot"),
    ):
        launcher.submit(REQUEST)
    assert left_open(told.lines) == []
