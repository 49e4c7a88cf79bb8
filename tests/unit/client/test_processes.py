from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medusa.client import processes
from tests.threaded import without_first_thread
from tests.waiting import PATIENCE


def spawn(script: str) -> subprocess.Popen[bytes]:
    """A shell script in a group of its own that has said `ready` on its standard output."""
    child = subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.stdout.close()
    return child


def test_a_group_is_ended_gently() -> None:
    child = spawn("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    processes.stop_group(child.pid, 10, child.poll)
    assert child.returncode == 5
    assert not processes.group_exists(child.pid)


def test_one_that_does_not_listen_is_killed_with_its_children() -> None:
    child = spawn("trap '' TERM; sleep 60 & echo ready; wait")
    processes.stop_group(child.pid, 0.1, child.poll)
    assert child.returncode == -signal.SIGKILL
    assert not processes.group_exists(child.pid)


def test_a_group_of_zombies_alone_is_gone() -> None:
    child = spawn("echo ready")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    os.killpg(child.pid, 0)
    assert not processes.group_exists(child.pid)
    child.wait()


def test_a_process_without_its_first_thread_is_no_zombie() -> None:
    with without_first_thread() as process:
        assert processes.group_exists(process.pid)
        processes.stop_group(process.pid, PATIENCE, process.poll)
        assert process.returncode == -signal.SIGTERM


def test_a_stopped_group_is_ended_too() -> None:
    child = spawn("trap 'exit 5' TERM; echo ready; kill -STOP $$; exit 1")
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    processes.stop_group(child.pid, 10, child.poll)
    assert child.returncode == 5


def test_a_group_that_is_gone_is_no_error() -> None:
    child = spawn("echo ready")
    child.wait()
    processes.stop_group(child.pid, 10)


def test_how_a_process_ended_in_words() -> None:
    assert processes.ended(0) == "ended with status 0"
    assert processes.ended(127) == "ended with status 127"
    assert processes.ended(-signal.SIGSEGV) == "killed by SIGSEGV"


def test_the_tail_of_a_log_is_its_last_lines_made_safe(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 10_000 + b"\n" + b"\n".join(b"line %d" % n for n in range(20)) + b"\n\x1b[2J\xff")
    assert processes.tail(log, lines=3) == ["line 18", "line 19", "\\x1b[2J\N{REPLACEMENT CHARACTER}"]
    assert processes.tail(tmp_path / "none") == []


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Modes mean nothing to root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_a_tree_goes_whatever_its_modes_and_a_symlinks_target_stays(ordinary_user: None) -> None:
    with tempfile.TemporaryDirectory() as place:
        doomed, spared = Path(place, "doomed"), Path(place, "spared")
        (doomed / "a" / "b").mkdir(parents=True)
        (doomed / "a" / "b" / "file").touch()
        spared.mkdir()
        (spared / "file").touch()
        (doomed / "a" / "link").symlink_to(spared)
        spared.chmod(0o500)
        (doomed / "a" / "b").chmod(0o500)
        (doomed / "a").chmod(0)
        processes.remove_tree(str(doomed))
        assert not doomed.exists()
        assert (spared / "file").exists()
        assert spared.stat().st_mode & 0o777 == 0o500
        processes.remove_tree(str(doomed))
        spared.chmod(0o700)


def test_a_tree_goes_although_somebody_still_writes_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doomed, rmdir = tmp_path / "doomed", os.rmdir
    doomed.mkdir()
    late = iter([doomed / "late"])

    def rmdir_after_a_write(*arguments: Any, **options: Any) -> None:
        for file in late:
            file.touch()
        rmdir(*arguments, **options)

    monkeypatch.setattr(os, "rmdir", rmdir_after_a_write)
    processes.remove_tree(str(doomed))
    assert next(late, None) is None
    assert not doomed.exists()
