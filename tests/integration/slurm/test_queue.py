"""`mlogin --launcher slurm` on a real Slurm of one node: its queue, new jobs, and that nothing is left of them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from medusa.client.archive import find_archive
from medusa.client.timeouts import SlurmTimeouts
from medusa.protocol.record import replace
from tests.integration.slurm.users import EAGER, NEEDS_SLURM, PROMPT, Place, job
from tests.slurms import slurm
from tests.terminals import ROOT, other_reflector, run_alone
from tests.waiting import wait_until

pytestmark = NEEDS_SLURM


def test_a_command_in_a_job_with_options_of_sbatch(place: Place) -> None:
    place.variables = {"all_proxy": "socks5h://127.0.0.1:1", "NO_PROXY": "corp"}  # not for mlogin's own reflector
    ask = "squeue -h -j $SLURM_JOB_ID -o '%j %l %C'; env | grep -c '^MEDUSA\\|^LC_ALL=C$\\|TIME_FORMAT'; pwd; exit 3"
    done = place.run("-c", ask, "--launcher-arg=--time=7", "--", "-J", "mine", "-n", "2")
    assert done.returncode == 3, done.stderr
    assert done.stdout.split() == ["mine", "7:00", "2", "0", str(ROOT)]
    assert not list(ROOT.glob("slurm-*.out"))


def test_a_terminal_session_after_a_wait_in_the_queue(place: Place) -> None:
    with place.cluster.full() as full, place.terminal() as opened:
        opened.until(r"PENDING \(Resources\), starts about (\w{3} \d\d \w{3} )?\d\d:\d\d")
        place.cluster.ask("scancel", full)
        opened.until(PROMPT)
        opened.type("stty size; echo job $SLURM_JOB_ID\n")
        opened.until(r"24 150\r\n")
        mine = opened.until(r"job (\d+)\r\n").group(1).decode()
        opened.type("\n~i")
        opened.until(rf"job +Slurm job {mine}: RUNNING on node1")
        opened.until(r"ends in +(59 min|1 h)")
        opened.type("\nexit 4\n")
        assert opened.status() == 4
    wait_until(lambda: place.cluster.show(mine)["JobState"] == "COMPLETED", "the job to end by itself")


def test_a_queued_job_is_cancelled_if_the_user_gives_up(place: Place) -> None:
    with place.cluster.full() as full, place.terminal() as opened:
        mine = job(opened)
        opened.until("PENDING")
        opened.type(b"\x03")
        assert opened.status() == 130
        assert opened.modes() == opened.modes_at_start
        place.assert_nothing_left(full)
        assert place.cluster.show(mine)["JobState"] == "CANCELLED"


def test_another_user_cancels_the_job(place: Place, tmp_path: Path) -> None:
    with place.terminal() as opened:
        opened.until(PROMPT)
        (mine,) = place.cluster.jobs()
        kept = wait_until(lambda: list(place.state.glob("medusa/*/job.log")), "the job's log")[0]
        log = tmp_path / "kept.log"
        log.hardlink_to(kept)
        place.cluster.ask("scancel", mine)
        opened.until(f"Slurm job {mine} was cancelled")
        opened.until("the agent was stopped by SIGTERM; outcome unknown")
        assert opened.status() == 254
    assert "stopped by SIGTERM" in log.read_text()


def test_a_job_that_is_requeued_does_not_run_again(place: Place) -> None:
    with place.terminal() as opened:
        opened.until(PROMPT)
        (mine,) = place.cluster.jobs()
        place.cluster.ask("scontrol", "requeue", mine)
        opened.until(f"Slurm job {mine} was requeued, by scontrol requeue or after its node failed")
        opened.until("the agent was stopped by SIGTERM; outcome unknown")
        assert opened.status() == 254
    assert place.cluster.show(mine)["JobState"] == "CANCELLED"


def test_a_job_that_is_suspended_is_named_at_its_end(place: Place) -> None:
    with place.terminal() as opened:
        opened.until(PROMPT)
        (mine,) = place.cluster.jobs()
        place.cluster.ask("scontrol", "suspend", mine)
        opened.until("mlogin: the job system has stopped the job's programs for now: SUSPENDED on node1")
        opened.type("\n~.")
        opened.until(f"Slurm job {mine} was suspended, as by preemption")
        assert opened.status() == 254


def test_a_signal_reaches_the_command_and_does_not_end_the_session(place: Place) -> None:
    with place.terminal("-c", "trap 'exit 6' USR1; echo ready; while :; do sleep 0.02; done") as opened:
        opened.until("ready")
        (mine,) = place.cluster.jobs()
        place.cluster.ask("scancel", "--signal=USR1", "--full", mine)
        assert opened.status() == 6


def test_a_signal_that_ends_the_agent_is_named(place: Place) -> None:
    with place.terminal() as opened:
        opened.until(PROMPT)
        (mine,) = place.cluster.jobs()
        place.cluster.ask("scancel", "--signal=KILL", "--batch", mine)
        opened.until(f"Slurm job {mine} was ended by SIGKILL")
        assert opened.status() == 254


def test_a_held_job_without_a_directory(place: Place, tmp_path: Path) -> None:
    """Its URL is that of the submission, and the user is told how the job is started."""
    (tmp_path / "file").touch()
    place.variables = {"XDG_STATE_HOME": str(tmp_path / "file")}
    with place.terminal("-c", "exit 4", "--", "--hold") as opened:
        opened.until(r"mlogin: no directory for the job \(.*file.*XDG_STATE_HOME names")
        mine = opened.until(r"it is held; it starts after: scontrol release (\d+)").group(1).decode()
        place.cluster.ask("scontrol", "release", mine)
        assert opened.status() == 4


def test_nothing_of_a_surrounding_job_is_in_the_new_one(place: Place) -> None:
    """Slurm gives a new job the environment of sbatch. Here it is that of a task of an array."""
    inherited = ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_MEM_PER_NODE", "SRUN_CPUS_PER_TASK", "SLURM_ARRAY_TASK_ID")
    place.variables = {**dict.fromkeys(inherited, "4711"), "SBATCH_ARRAY_INX": "1-3", "SBATCH_TIMELIMIT": "7"}
    done = place.run("-c", "env | grep -c 4711; srun --overlap echo a step; squeue -h -j $SLURM_JOB_ID -o %l")
    assert done.stdout.splitlines() == ["0", "a step", "7:00"], done.stderr


def test_a_number_that_is_not_told_is_no_refusal(place: Place, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sbatch").write_text("#!/bin/sh\necho M\xfcller\n", encoding="latin-1")
    (tmp_path / "bin/sbatch").chmod(0o755)
    place.variables = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = place.run()
    assert done.returncode == 255
    assert "was submitted, but sbatch did not say its number" in done.stderr
    assert "squeue --me shows it" in done.stderr


def test_an_array_is_refused(place: Place) -> None:
    done = place.run("--", "--array=1-8")
    assert done.returncode == 255
    assert "because a session has one job" in done.stderr
    assert not place.cluster.jobs()


def test_the_time_limit_is_announced(place: Place) -> None:
    with place.terminal("--", "--time=30") as opened:
        opened.until(PROMPT)
        (mine,) = place.cluster.jobs()
        place.cluster.ask("scontrol", "update", f"JobId={mine}", "TimeLimit=5")
        opened.until(r"the job's time is over in (5 min|4 min \d+ s); what runs then is ended")
        opened.type("exit\n")
        assert opened.status() == 0


def test_a_controller_that_does_not_answer_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "slurm").mkdir()
    impatient = replace(EAGER, slurm=SlurmTimeouts(end_grace=8, command_timeout=1))
    with slurm(tmp_path / "slurm") as own:
        place = Place(own, tmp_path)
        with own.full() as full, place.terminal(timeouts=impatient) as opened:
            opened.until("PENDING")
            own.stop_controller()
            opened.until("Slurm does not answer|[Uu]nable to contact slurm controller")
            own.start_controller()
            own.ask("scancel", full)
            opened.until(PROMPT)
            opened.type("exit\n")
            assert opened.status() == 0
        place.assert_nothing_left()


def test_a_refusal_is_shown_in_the_words_of_slurm(place: Place) -> None:
    done = place.run("--", "--partition=none")
    assert done.returncode == 255
    assert "mlogin: Slurm job was refused before its agent appeared\n" in done.stderr
    assert "invalid partition specified: none" in done.stderr


def test_the_log_of_an_agent_that_cannot_start_is_shown(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "agent.sh"
    archive.write_text("#!/bin/sh\necho 'medusa agent: no Python' >&2\nexit 127\n")
    done = place.run("--archive", str(archive))
    assert done.returncode == 255
    assert "failed before its agent appeared" in done.stderr
    assert "medusa agent: no Python" in done.stderr


def test_an_archive_that_slurm_refuses_runs_from_the_shared_directory(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "agent.sh"
    archive.write_bytes(f"#!/bin/sh\nexec sh '{find_archive()}' \"$@\"\n".encode() + bytes(2 << 20))
    done = place.run("--archive", str(archive), "-c", "exit 6")
    assert done.returncode == 6, done.stderr


def test_a_job_that_cannot_reach_mlogins_own_reflector_is_cancelled(place: Place, tmp_path: Path) -> None:
    """On a cluster, nodes are other machines than mlogin's. Here mlogin gets another host name instead."""
    archive = tmp_path / "agent.sh"
    archive.write_text("#!/bin/sh\nsleep 1000\n")
    elsewhere = "import socket; socket.gethostname = lambda: 'login1'\n"
    elsewhere += "from medusa.commands import mlogin; mlogin.main()"
    done = run_alone(
        [sys.executable, "-c", elsewhere, "--launcher", "slurm", "--archive", str(archive)], place.environ()
    )
    assert "was started on node1 before its agent appeared" in done.stderr, done.stderr
    assert "name it by --reflector URL" in done.stderr
    mine = re.search(r"Slurm job (\d+)", done.stderr)
    assert mine is not None
    wait_until(lambda: place.cluster.show(mine[1])["JobState"] == "CANCELLED", "the end of the job")


def test_another_reflector(place: Place) -> None:
    with other_reflector() as url:
        done = place.run("--reflector", url, "-c", "echo here")
        assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr
