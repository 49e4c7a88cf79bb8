from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.session import process_tree
from agent.session.process_tree import Family
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A session of a shell and a child that ignore SIGHUP. The shell does not end by itself when its child does."""
    script = "trap '' HUP; sleep 1000 & echo; while :; do wait; done"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        yield process
        process_tree.end(Family(process.pid), 0)


def test_members_are_the_sessions_processes_and_nobody_else(leader: subprocess.Popen[bytes]) -> None:
    found = Family(leader.pid).members()
    assert found is not None
    assert leader.pid in found
    assert len(found) == 2
    assert os.getpid() not in found


def test_zombies_do_not_count() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Family(process.pid).members() == set()
    process.wait()


def test_grace_then_kill(leader: subprocess.Popen[bytes]) -> None:
    begin = time.monotonic()
    ending = process_tree.Ending(Family(leader.pid), begin, grace=0.3)
    assert not ending.done
    wait_until(lambda: ending.step(time.monotonic()))
    assert time.monotonic() - begin >= 0.3
    assert leader.wait(PATIENCE) == -signal.SIGKILL
    assert Family(leader.pid).members() == set()


def test_stopped_processes_get_their_hangup() -> None:
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    os.kill(process.pid, signal.SIGSTOP)
    process_tree.end(Family(process.pid), grace=PATIENCE)
    assert process.wait(PATIENCE) == -signal.SIGHUP


def test_nobody_there_is_done_at_once() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()
    assert process_tree.Ending(Family(process.pid), 0.0).done


def test_without_proc_groups_are_signalled(leader: subprocess.Popen[bytes], tmp_path: Path) -> None:
    job = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    assert Family(leader.pid, proc=str(tmp_path / "none")).members() is None
    assert Family(leader.pid, proc=str(tmp_path)).members() is None
    ending = process_tree.Ending(Family(leader.pid, (job.pid,), proc=str(tmp_path)), 0.0, grace=0.0)
    ending.step(0.0)
    assert leader.wait(PATIENCE) == -signal.SIGKILL
    assert job.wait(PATIENCE) in (-signal.SIGHUP, -signal.SIGKILL)
    wait_until(lambda: not Family(leader.pid, proc=str(tmp_path)).send(0), "the end of the group")


def test_adopted_orphans_count_but_not_who_was_there_before() -> None:
    with subprocess.Popen(["sleep", "1000"]) as before:
        spared = process_tree.children(os.getpid())
        assert before.pid in spared
        with subprocess.Popen(["sleep", "1000"], start_new_session=True) as orphan:
            members = Family(1 << 30, adopter=os.getpid(), spared=spared)
            assert members.members() == {orphan.pid}
            process_tree.end(members, PATIENCE)
            assert orphan.wait() == -signal.SIGHUP
        assert before.poll() is None
        before.kill()


def test_what_a_guard_is_told() -> None:
    lines = [
        process_tree.tell_session(5),
        "other",
        process_tree.tell_session(6),
        process_tree.tell_ended(5),
        process_tree.tell_ended(99),
    ]
    assert process_tree.live_sessions(lines) == [6]


def test_guard_ends_what_is_left(leader: subprocess.Popen[bytes]) -> None:
    process_tree.end_told([process_tree.tell_session(leader.pid)], 0)
    assert leader.wait(PATIENCE) == -signal.SIGKILL
