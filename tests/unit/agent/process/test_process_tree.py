from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.process import inherited
from agent.process.process_tree import (
    GUEST,
    ProcessTree,
    Termination,
    children,
    end_sessions,
    ended_line,
    live_sessions,
    started_line,
    terminate,
)
from agent.timeouts import Timeouts
from tests.waiting import PATIENCE, wait_until

AT_ONCE = Timeouts(hangup_grace=0)
PATIENT = Timeouts(hangup_grace=PATIENCE)


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A session of a shell and a child that ignore SIGHUP. The shell does not end by itself when its child does."""
    script = "trap '' HUP; sleep 1000 & echo; while :; do wait; done"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        yield process
        terminate(ProcessTree([process.pid]), AT_ONCE)


def test_members_are_the_sessions_processes_and_no_other(leader: subprocess.Popen[bytes]) -> None:
    found = ProcessTree([leader.pid]).members()
    assert found is not None
    assert leader.pid in found
    assert len(found) == 2
    assert os.getpid() not in found


def test_zombies_do_not_count() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert ProcessTree([process.pid]).members() == set()
    process.wait()


def test_grace_then_kill(leader: subprocess.Popen[bytes]) -> None:
    begin = time.monotonic()
    termination = Termination(ProcessTree([leader.pid]), begin, Timeouts(hangup_grace=0.3))
    assert not termination.done
    wait_until(lambda: termination.step(time.monotonic()))
    assert time.monotonic() - begin >= 0.3
    assert leader.wait(PATIENCE) == -signal.SIGKILL
    assert ProcessTree([leader.pid]).members() == set()


def test_stopped_processes_get_their_hangup() -> None:
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    os.kill(process.pid, signal.SIGSTOP)
    terminate(ProcessTree([process.pid]), PATIENT)
    assert process.wait(PATIENCE) == -signal.SIGHUP


def test_empty_tree_is_done_at_once() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()
    assert Termination(ProcessTree([process.pid]), 0.0, Timeouts()).done


def test_without_proc_groups_are_signalled(leader: subprocess.Popen[bytes], tmp_path: Path) -> None:
    job = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    assert ProcessTree([leader.pid], proc=str(tmp_path / "none")).members() is None
    assert ProcessTree([leader.pid], proc=str(tmp_path)).members() is None
    termination = Termination(ProcessTree([leader.pid], (job.pid,), proc=str(tmp_path)), 0.0, AT_ONCE)
    termination.step(0.0)
    assert leader.wait(PATIENCE) == -signal.SIGKILL
    assert job.wait(PATIENCE) in (-signal.SIGHUP, -signal.SIGKILL)
    wait_until(lambda: not ProcessTree([leader.pid], proc=str(tmp_path)).send(0), "the end of the group")


def test_adopted_orphans_count_but_not_earlier_children() -> None:
    with subprocess.Popen(["sleep", "1000"]) as before:
        spared = children(os.getpid())
        assert before.pid in spared
        with subprocess.Popen(["sleep", "1000"], start_new_session=True) as orphan:
            members = ProcessTree([], adopter=os.getpid(), spared=spared)
            assert members.members() == {orphan.pid}
            terminate(members, PATIENT)
            assert orphan.wait() == -signal.SIGHUP
        assert before.poll() is None
        before.kill()


def test_lines_for_a_guard() -> None:
    lines = [
        started_line(5),
        "other",
        started_line(6),
        ended_line(5),
        ended_line(99),
    ]
    assert live_sessions(lines) == [6]


def test_guard_ends_what_is_left(leader: subprocess.Popen[bytes]) -> None:
    end_sessions([started_line(leader.pid)], AT_ONCE)
    assert leader.wait(PATIENCE) == -signal.SIGKILL


@pytest.fixture
def adopting() -> Iterator[None]:
    """This process adopts orphans, as the agent does."""
    inherited.adopt_orphans()
    yield
    inherited._prctl(inherited._PR_SET_CHILD_SUBREAPER, 0)


@pytest.mark.usefixtures("adopting")
def test_a_process_that_leaves_the_session_is_found_by_its_parent(tmp_path: Path) -> None:
    """The shell dies of SIGHUP. Its child has a kernel session of its own, and ignores SIGHUP."""
    script = f"(trap '' HUP; exec setsid sleep 1000) & echo $! > {tmp_path}/pid; wait"
    process = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    wait_until(lambda: os.getsid(pid) == pid)
    termination = Termination(ProcessTree([process.pid]), 0.0, Timeouts(hangup_grace=1.0))
    assert process.wait(PATIENCE) == -signal.SIGHUP
    assert not termination.step(0.5)
    wait_until(lambda: termination.step(1.0))
    assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)


def test_daemons_of_a_job_that_is_somebody_elses_are_left_alone() -> None:
    """What has a kernel session of its own, or ignores SIGHUP, does not belong to the tree."""
    script = "for how in setsid nohup ''; do $how sleep 1000 >/dev/null 2>&1 & echo $!; done; exec sleep 1000"
    leader = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout is not None
    with leader:
        alone, nohup, background = (int(leader.stdout.readline()) for _ in range(3))
        try:
            wait_until(lambda: ProcessTree([leader.pid], guest=True).members() == {leader.pid, background})
            assert ProcessTree([leader.pid], guest=True, pipes=()).members() == {leader.pid}
            end_sessions([started_line(leader.pid), GUEST], Timeouts(hangup_grace=0))
            assert ProcessTree([leader.pid]).members() == {nohup}
            assert Path(f"/proc/{alone}").exists()
        finally:
            for pid in (alone, nohup):
                os.kill(pid, signal.SIGKILL)
