from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from medusa.client import processes
from medusa.client.cleanup import tty_modes
from medusa.client.cleanup.undo import left_open, undo
from medusa.client.ledger import Ledger
from medusa.guard import Guard
from tests.unit.client.peers import Told
from tests.waiting import MS, wait_until


def test_what_was_not_taken_back_is_left_open_in_order() -> None:
    told = Told()
    ledger = Ledger(told)
    ledger.add("group", "1")
    ledger.add("directory", "/tmp/a\nb")
    ledger.add("group", "2")
    ledger.remove("group", "1")
    ledger.remove("group", "never added")
    assert left_open(told.lines) == [("directory", "/tmp/a\nb"), ("group", "2")]
    assert not any("\n" in line for line in told.lines)


def test_a_job_that_was_left_alone_is_ended_after_all() -> None:
    told = Told()
    ledger = Ledger(told)
    for kind, value in (("group", "1"), ("command", "2"), ("directory", "/d")):
        ledger.add(kind, value)

    def leave() -> bool:
        ledger.replace("group", "1", "await")
        ledger.remove("command", "2")
        return True

    assert ledger.keep(leave)
    assert left_open(told.lines) == [("directory", "/d"), ("await", "1")]
    ledger.end_kept()
    assert left_open(told.lines) == [("directory", "/d"), ("group", "1"), ("command", "2")]


def test_a_line_cut_short_is_skipped() -> None:
    assert left_open(['["+", "group", "1"]', '["+", "gro']) == [("group", "1")]


def test_the_guard_is_released_only_when_nothing_is_open() -> None:
    told = Told()
    ledger = Ledger(told)
    with ledger.entry("group", "1"):
        ledger.close()
        assert "done" not in told.lines
    ledger.close()
    assert told.lines[-1] == "done"


def test_a_private_directory_is_in_the_ledger_before_it_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    recorded: list[bool] = []
    monkeypatch.setattr("os.mkdir", lambda path, mode: recorded.append(("directory", path) in left_open(told.lines)))
    with Ledger(told).private_directory():
        assert recorded == [True]


def test_a_private_directory_is_private_and_goes_with_its_contents() -> None:
    told = Told()
    with Ledger(told).private_directory() as path:
        assert path.stat().st_mode & 0o777 == 0o700
        assert left_open(told.lines) == [("directory", str(path))]
        (path / "locked").mkdir()
        (path / "locked" / "file").write_text("x")
        (path / "locked").chmod(0)
    assert not path.exists()
    assert left_open(told.lines) == []


def test_undo_runs_commands_before_it_removes_what_they_need(tmp_path: Path) -> None:
    told = Told()
    ledger = Ledger(told)
    directory, other = tmp_path / "private", tmp_path / "other"
    directory.mkdir()
    (directory / "job").write_text("4711")
    ledger.add("directory", str(directory))
    ledger.add("command", json.dumps(["/no/such/program"]))
    ledger.add("command", json.dumps(["cp", str(directory / "job"), str(other)]))
    undo(told.lines)
    assert other.read_text() == "4711"
    assert not directory.exists()


def test_undo_restores_ends_and_removes(tty: int, tmp_path: Path) -> None:
    before = termios.tcgetattr(tty)
    tty_modes.apply(tty, tty_modes.raw(before))
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    shared = tmp_path / "shared"
    shared.mkdir()
    files = [shared / "own", shared / "last"]
    for file in files:
        file.touch()
    entries = [("directory", str(doomed)), ("group", str(child.pid)), ("tty", tty_modes.record(tty, before))]
    entries += [("file", str(file)) for file in files]
    undo([json.dumps(["+", kind, value]) for kind, value in entries], grace=0.1)
    assert child.wait() == -signal.SIGTERM
    assert termios.tcgetattr(tty) == before
    assert not doomed.exists()
    assert not shared.exists()


def test_the_guard_undoes_it_when_the_owner_is_killed(tty: int, tmp_path: Path) -> None:
    """The whole chain with a real guard: an owner that dies by SIGKILL with a raw terminal, a job and a directory."""
    before = termios.tcgetattr(tty)
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    owner = os.fork()
    if owner == 0:
        try:
            _own_and_die(tty, doomed)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == -9
    wait_until(lambda: not doomed.exists(), "the directory to go")
    assert termios.tcgetattr(tty) == before
    group = int((tmp_path / "group").read_text())
    wait_until(lambda: not processes.group_exists(group), "the job to end")


def test_the_guard_waits_for_a_job_that_goes_on(tty: int, tmp_path: Path) -> None:
    doomed, after = tmp_path / "doomed", tmp_path / "after"
    doomed.mkdir()
    owner = os.fork()
    if owner == 0:
        try:
            _own_and_die(tty, doomed, after)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == -9
    group = int((tmp_path / "group").read_text())
    assert doomed.exists()
    assert processes.group_exists(group)
    os.killpg(group, signal.SIGKILL)
    wait_until(lambda: not doomed.exists(), "the directory to go")
    assert after.exists(), "what is to be done after the job comes before its files are removed"


def _own_and_die(tty: int, doomed: Path, after: Path | None = None) -> None:
    ledger = Ledger(Guard.start(functools.partial(undo, interval=10 * MS), keep_fds=[tty]))
    before = termios.tcgetattr(tty)
    tty_modes.apply(tty, tty_modes.raw(before))
    ledger.add("tty", tty_modes.record(tty, before))
    ledger.add("directory", str(doomed))
    job = subprocess.Popen(["sleep", "60"], start_new_session=True)
    (doomed.parent / "group").write_text(str(job.pid))
    ledger.add("group", str(job.pid))
    if after is not None:
        ledger.replace("group", str(job.pid), "await")
        ledger.add("after", json.dumps(["cp", "-R", str(doomed), str(after)]))
    os.kill(os.getpid(), 9)
