from __future__ import annotations

import pytest

from medusa.client.launchers.slurm.commands import (
    QueueEntry,
    Task,
    end_words,
    error_lines,
    job_environment,
    parse_duration,
    parse_queue,
    parse_submission,
    parse_tasks,
    query_environment,
    requeue_words,
    time_of_day,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("59", 59), ("5:00", 300), ("1:00:00", 3600), ("2-03:00:01", 183601), ("0:00", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["UNLIMITED", "NOT_SET", "INVALID", "", "1:x", "-", "٣"])
def test_no_limit(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("PENDING|N/A|1:00:00|n/a|Priority", "PENDING (Priority)"),
        ("PENDING|86400|1:00:00|n/a|Resources", "PENDING (Resources), starts about "),
        ("PENDING|N/A|1:00:00||None", "PENDING"),
        ("RUNNING|0|1:00:00|node3|None", "RUNNING on node3"),
        ("COMPLETING|0|0:00|node3|None", "COMPLETING on node3"),
        ("CANCELLED|0|0:00|node3|None", "was cancelled"),
        ("TIMEOUT|0|INVALID|node3|TimeLimit", "was ended by its time limit"),
        ("PENDING|N/A|1:00:00|n/a|a \x1b[2J|b", "PENDING (a \\x1b[2J|b)"),
    ],
)
def test_words(line: str, words: str) -> None:
    found = parse_queue(f"CLUSTER: far\n{line}\n")
    assert found is not None
    said = found.words(lambda: 86400.0)
    assert said.startswith(words) if words.endswith("about ") else said == words


def test_no_job() -> None:
    assert parse_queue("") is None
    assert parse_queue("slurm_load_jobs error\n") is None


def test_only_final_states_are_not_alive() -> None:
    alive = {state: QueueEntry(state, None, None, "", "").alive for state in ("RUNNING", "COMPLETED", "NEW_STATE")}
    assert alive == {"RUNNING": True, "COMPLETED": False, "NEW_STATE": True}


def test_the_id_and_the_cluster_of_a_new_job() -> None:
    assert parse_submission("17\n") == ("17", [])
    assert parse_submission("17;far\n") == ("17", ["--clusters=far"])
    assert parse_submission("Submitted batch job 17\n") == ("17", [])
    assert parse_submission("Welcome\n17\n-- checks: OK\n") == ("17", [])
    for text in ("", "sbatch: error", ";far", "-1"):
        with pytest.raises(ValueError, match="no job's id"):
            parse_submission(text)


def test_a_time_of_another_day_has_its_date() -> None:
    day = 86400.0
    assert len(time_of_day(100 * day, 100 * day)) == len("hh:mm")
    assert len(time_of_day(102 * day, 100 * day)) == len("Mon 01 Jan hh:mm")


def test_complaints_are_short_and_printable() -> None:
    said = "sbatch: error: no \x1b\nsbatch: error: Batch job submission failed: no\n\n"
    assert error_lines(said) == ["no \\x1b", "Batch job submission failed: no"]


def test_variables_for_mlogin_are_not_passed_on() -> None:
    environ = {"MEDUSA_KEY": "x", "A": "b"}
    assert job_environment(environ) == {"A": "b"}
    environ.update({"SQUEUE_PARTITION": "gpu", "SCANCEL_STATE": "PENDING"})
    assert query_environment(environ) == {"A": "b", "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}


def test_nothing_of_a_surrounding_job_is_passed_on() -> None:
    kept = {
        "HOME": "/home/jill",
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_CLUSTERS": "far",
        "SBATCH_PARTITION": "gpu",
        "SQUEUE_SORT": "P",
    }
    names = [
        "JOB_ID",
        "JOBID",
        "NTASKS",
        "CPUS_PER_TASK",
        "MEM_PER_NODE",
        "ARRAY_TASK_ID",
        "EXPORT_ENV",
        "WORKING_CLUSTER",
        "UMASK",
    ]
    inherited = dict.fromkeys([f"SLURM_{name}" for name in names], "1")
    others = dict.fromkeys(["SLURMD_NODENAME", "SRUN_CPUS_PER_TASK", "PMIX_RANK", "CUDA_VISIBLE_DEVICES"], "1")
    others |= dict.fromkeys(["SBATCH_MEM_BIND_TYPE", "ENVIRONMENT"], "1")
    assert job_environment(kept | inherited | others) == kept


def test_outside_of_a_job_the_users_variables_stay_but_for_those_that_break_a_session() -> None:
    kept = {"SLURM_MPI_TYPE": "pmix", "SRUN_CONTAINER": "x", "CUDA_VISIBLE_DEVICES": "0", "SBATCH_ACCOUNT": "a"}
    breaking = {"SBATCH_ARRAY_INX": "1-8", "SBATCH_WAIT": "1", "SBATCH_QUIET": "1", "SLURM_STDINMODE": "none"}
    assert job_environment(kept | breaking) == kept


@pytest.mark.parametrize(
    ("accounting", "words"),
    [
        ("", "was requeued, by preemption, by scontrol requeue or after its node failed"),
        ("PENDING\n", "was requeued, by preemption, by scontrol requeue or after its node failed"),
        ("REQUEUED\nPREEMPTED\nPENDING\n", "was preempted and requeued"),
        ("NODE_FAIL\nRUNNING\n", "was requeued, because its node failed"),
    ],
)
def test_why_a_job_was_requeued(accounting: str, words: str) -> None:
    assert requeue_words(accounting) == words


def test_why_a_job_was_requeued_if_there_is_no_accounting() -> None:
    off, on = "PreemptMode = OFF\nPreemptType             = preempt/none\n", "PreemptType = preempt/qos\n"
    healthy = "NodeName=node1 State=IDLE ThreadsPerCore=1"
    assert requeue_words("", healthy, off) == "was requeued, by scontrol requeue or after its node failed"
    assert requeue_words("", healthy, on) == "was requeued, by preemption, by scontrol requeue or after its node failed"
    for state in ("DOWN", "DOWN*+DRAIN", "IDLE*", "FAIL"):
        assert requeue_words("", f"NodeName=node1 State={state} ThreadsPerCore=1", on).endswith("its node failed")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("JobId=7 JobState=FAILED ExitCode=0:10 PreemptTime=None", "was ended by SIGUSR1"),
        ("JobId=7 JobState=FAILED ExitCode=143:0 PreemptTime=2026-11-29T09:14:31", "was preempted"),
        ("JobId=7 JobState=FAILED ExitCode=1:0 PreemptTime=None", None),
        ("JobId=7 JobState=COMPLETED ExitCode=0:0 PreemptTime=N/A", None),
        ("ExitCode=:x", None),
        ("", None),
    ],
)
def test_what_only_the_record_of_a_job_tells(record: str, words: str | None) -> None:
    assert end_words(record) == words


def test_the_tasks_of_an_array() -> None:
    shown = "CLUSTER: c1\n7_[5-9]|7|PENDING\n7_4|12|RUNNING\n\n"
    assert parse_tasks(shown) == [Task("7_[5-9]", "7", "PENDING"), Task("7_4", "12", "RUNNING")]
