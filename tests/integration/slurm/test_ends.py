"""`mlogin --launcher slurm` in a job that runs, and what is left of jobs after interruptions."""

from __future__ import annotations

import contextlib
import random
import signal

import pytest

from tests.integration.slurm.users import NEEDS_SLURM, PROMPT, Place
from tests.slurms import CPUS
from tests.waiting import MS, PATIENCE, Deadline, wait_until

pytestmark = NEEDS_SLURM


class TestRunningJob:
    def test_a_step_starts_even_on_a_full_node(self, place: Place) -> None:
        with place.cluster.full() as full:
            with place.terminal("--job", full) as opened:
                opened.until(PROMPT)
                opened.type("echo job $SLURM_JOB_ID; exit 5\n")
                opened.until(rf"job {full}\r\n")
                assert opened.status() == 5
            assert place.cluster.jobs() == {full: "RUNNING"}
            place.assert_nothing_left(full)

    def test_a_job_that_is_cancelled_meanwhile(self, place: Place) -> None:
        with place.cluster.full() as full, place.terminal("--job", full) as opened:
            opened.until(PROMPT)
            place.cluster.ask("scancel", full)
            opened.until(f"Slurm job {full} was cancelled")
            assert opened.status() == 254

    def test_a_job_that_does_not_run_yet(self, place: Place) -> None:
        with place.cluster.full():
            waiting = place.cluster.submit("sleep 1000", f"--ntasks={CPUS}")
            done = place.run("--job", waiting)
            place.cluster.ask("scancel", waiting)
        assert done.returncode == 255
        assert "PENDING" in done.stderr
        assert "only a job that runs can be got into" in done.stderr

    def test_an_unknown_job(self, place: Place) -> None:
        done = place.run("--job=987654")
        assert done.returncode == 255
        assert "Slurm job 987654 is not known to Slurm" in done.stderr

    def test_one_task_of_an_array(self, place: Place) -> None:
        array = place.cluster.submit("sleep 1000", "--array=3,4")
        tasks = {f"{array}_3", f"{array}_4"}
        wait_until(lambda: {task for task, state in place.cluster.jobs().items() if state == "RUNNING"} >= tasks)
        number = place.cluster.ask("squeue", "-h", "-o", "%A", "-j", f"{array}_4").strip()
        done = place.run("--job", f"{array}_4", "-c", "echo job $SLURM_JOB_ID; exit 6")
        assert (done.returncode, done.stdout) == (6, f"job {number}\n"), done.stderr
        several = place.run("--job", array)
        place.cluster.ask("scancel", array)
        assert several.returncode == 255
        assert "is an array" in several.stderr
        assert all(task in several.stderr for task in tasks)

    @pytest.mark.parametrize("job", ["12x", "12_", "12_3_4", "-1", "12.0", "node1"])
    def test_what_is_no_job(self, place: Place, job: str) -> None:
        done = place.run(f"--job={job}")
        assert done.returncode == 255
        assert f"--job {job}: not a number, nor NUMBER_TASK of an array" in done.stderr

    def test_sigkill_leaves_no_step(self, place: Place) -> None:
        with place.cluster.full() as full:
            with place.terminal("--job", full) as opened:
                opened.until(PROMPT)
                opened.process.kill()
                opened.status()
            place.assert_nothing_left(full)
            assert place.cluster.jobs() == {full: "RUNNING"}


@pytest.mark.parametrize("seed", range(2))
def test_no_job_is_left_after_ten_random_interruptions(place: Place, seed: int) -> None:
    chance = random.Random(seed)
    ways = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            pair = [stack.enter_context(place.terminal()) for _ in range(2)]
            for opened in pair:
                moment = Deadline(chance.uniform(50, 2500) * MS)
                while not moment.passed and opened.process.poll() is None:
                    opened.read(min(0.02, moment.left))
                opened.process.send_signal(chance.choice(ways))
            for opened in pair:
                wait_until(lambda opened=opened: opened.process.poll() is not None, "mlogin's end", 3 * PATIENCE)  # type: ignore[misc]
