"""A Manta job, step by step, against an API that answers what the test says."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.cleanup.undo import left_open
from medusa.client.launchers.base import JobState, MantaJobOptions
from medusa.client.launchers.manta.errors import MantaError
from medusa.client.launchers.manta.job import MantaJob
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS
from tests.unit.client.launchers.manta.fake_api import ARCHIVE, JOB, FakeApi, error, request
from tests.unit.client.peers import Told
from tests.waiting import Clock

DONE = {"state": "done", "stats": {}}
FAILED = {"state": "done", "stats": {"errors": 1}}
RENEWAL = DEFAULT_TIMEOUTS.renewal_interval


class Stage:
    """A job, its Manta, its guard and its clock."""

    def __init__(self, options: MantaJobOptions | None = None, target: str | None = None) -> None:
        self.api, self.clock, self.guard = FakeApi(), Clock(), Told()
        ledger = Ledger(self.guard)
        self.job = MantaJob(self.api, ledger, "jill", options or MantaJobOptions(), target, clock=self.clock)

    def started(self) -> Stage:
        self.job.create()
        self.job.start(request())
        return self

    def look(self, status: Mapping[str, object] | None = None, *, waiting: bool = True) -> tuple[JobState, list[str]]:
        """The job's state and remarks after a look, at which the Manta answers `status`."""
        self.api.status = dict(status or self.api.status)
        self.job.look(waiting=waiting)
        return self.job.state, self.job.remarks

    def guarded(self) -> list[tuple[str, str, str]]:
        """Method, URL and date of the requests that the guard would send, in order."""
        requests = [SignedRequest.parse(value) for kind, value in left_open(self.guard.lines) if kind == "request"]
        return [(request.method, request.url, request.headers["Date"]) for request in requests]


def alive(words: str, problem: str | None = None) -> tuple[JobState, list[str]]:
    return JobState(alive=True, words=words, problem=problem), []


def over(words: str, *remarks: str) -> tuple[JobState, list[str]]:
    return JobState(alive=False, words=words), list(remarks)


def test_a_job_without_an_object_is_a_reduce_job() -> None:
    stage = Stage()
    assert stage.job.create() == JOB
    (job,) = stage.api.jobs
    (phase,) = job["phases"]
    config = phase["assets"].pop(1)
    assert re.fullmatch(r"/jill/stor/medusa-config-[0-9a-f-]{36}\.json", config)
    assert job == {
        "name": "interactive compute job",
        "phases": [{"exec": f"/assets{ARCHIVE}", "type": "reduce", "assets": [ARCHIVE]}],
    }
    stage.job.start(request())
    assert stage.api.asked == [
        ("create_job",),
        ("put_object", config, "application/json", "1"),
        ("end_job_input", JOB),
    ]
    assert stage.api.signed_url() == "https://manta/agent?1&lifetime=300"
    assert stage.job.state == JobState(alive=True, words="queued")


def test_a_job_on_an_object_is_a_map_job() -> None:
    stage = Stage(target="~~/stor/some dir/../a file")
    stage.api.objects["/jill/stor/a file"] = b""
    stage.started()
    assert stage.api.jobs[0]["phases"][0]["type"] == "map"
    assert stage.api.methods() == ["head_object", "create_job", "put_object", "add_job_key", "end_job_input"]
    assert ("add_job_key", JOB, "/jill/stor/a file") in stage.api.asked


def test_all_options_are_in_the_job() -> None:
    assets = ("~~/stor/a tool", "/joe/public/x")
    stage = Stage(MantaJobOptions(8, 1024, "echo hi", "13.3", assets, "~~/public/my agent.sh")).started()
    (phase,) = stage.api.jobs[0]["phases"]
    agent, _, *others = phase["assets"]
    assert (agent, others) == ("/jill/public/my agent.sh", ["/jill/stor/a tool", "/joe/public/x"])
    assert phase["exec"] == "'/assets/jill/public/my agent.sh'"
    options = {name: phase[name] for name in ("disk", "memory", "init", "image")}
    assert options == {"disk": 8, "memory": 1024, "init": "echo hi", "image": "13.3"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, Failure("/jill/stor/x: there is no such object")),
        (403, Failure("/jill/stor/x: you may not read that object")),
        (None, MantaError("SomeError: no")),
    ],
)
def test_an_unusable_object_leads_to_no_job(status: int | None, expected: Exception) -> None:
    stage = Stage(target="/jill/stor/x")
    stage.api.errors["head_object"] = error(status)
    with pytest.raises(type(expected), match=str(expected)):
        stage.job.create()
    assert stage.job.close(clean=False) == []
    assert stage.api.methods() == ["head_object"]


def test_a_directory_is_not_an_object() -> None:
    stage = Stage(target="/jill/stor")
    stage.api.objects["/jill/stor"] = None
    with pytest.raises(Failure, match="/jill/stor is a directory; a job works on an object"):
        stage.job.create()


@pytest.mark.parametrize("options", [MantaJobOptions(agent="agent.sh"), MantaJobOptions(assets=("tool",))])
def test_relative_paths_are_refused(options: MantaJobOptions) -> None:
    with pytest.raises(MantaError, match="is not a path in Manta"):
        Stage(options)


@pytest.mark.parametrize(
    ("method", "cause", "remarks"),
    [
        ("put_object", error(503, "Busy"), ["Busy: no"]),
        ("add_job_key", error(503, "Busy"), ["Busy: no"]),
        ("end_job_input", error(503, "Busy"), ["Busy: no"]),
        ("put_object", Failure("no key\nany more"), ["no key", "any more"]),
    ],
)
def test_a_failure_before_the_queue_is_shown_and_undone(method: str, cause: Exception, remarks: list[str]) -> None:
    stage = Stage(target="/jill/stor/x")
    stage.api.objects["/jill/stor/x"] = b""
    stage.api.errors[method] = cause
    stage.started()
    assert (stage.job.state, stage.job.remarks) == over("failed", *remarks)
    assert stage.job.close(clean=False) == []
    assert stage.api.methods()[-2:] == ["cancel_job", "delete_object"]
    assert stage.api.configs() == []


@pytest.mark.parametrize("state", ["queued", "running", "on\x1b fire", None, 7])
def test_any_other_state_than_done_is_alive(state: object) -> None:
    stage = Stage().started()
    assert stage.look({"state": state}) == alive(str(state).replace("\x1b", "\\x1b"))


def test_a_manta_that_does_not_answer_for_a_while_is_no_end() -> None:
    stage = Stage().started()
    stage.api.errors["job_status"] = [error(None), Failure("ssh-agent is locked")]
    assert stage.look() == alive("unknown", "SomeError: no")
    assert stage.look() == alive("unknown", "ssh-agent is locked")
    assert stage.look() == alive("queued")


def test_a_job_that_waits_for_twenty_minutes_always_has_a_fresh_url() -> None:
    stage = Stage().started()
    urls = {stage.api.signed_url(): stage.clock.now}
    for _ in range(20 * 60 // 5):
        stage.clock.now += 5
        stage.look()
        urls.setdefault(stage.api.signed_url(), stage.clock.now)
        assert stage.clock.now - urls[stage.api.signed_url()] <= RENEWAL
    assert len(urls) == 1 + 20 * 60 // RENEWAL
    assert stage.job.close(clean=False) == []
    assert stage.api.configs() == []


def test_a_renewal_that_fails_is_repeated_at_the_next_look() -> None:
    stage = Stage().started()
    stage.clock.now += RENEWAL
    stage.api.errors["put_object"] = [error(503, "Busy")]
    assert stage.look() == alive("queued", "Busy: no")
    stage.clock.now += 5
    assert stage.look() == alive("queued")
    assert stage.api.methods().count("put_object") == 3


def test_the_config_is_not_renewed_after_the_agent_has_come() -> None:
    stage = Stage().started()
    stage.clock.now += 10 * RENEWAL
    stage.look(waiting=False)
    assert stage.api.methods().count("put_object") == 1


def test_the_end_of_a_job() -> None:
    assert Stage().started().look(DONE) == over("ended")
    assert Stage().started().look({**DONE, "cancelled": True}) == over("was cancelled")
    assert Stage().started().look({"state": "done", "stats": [1]}) == over("ended")


def test_a_failed_job_shows_its_errors_and_its_stderr() -> None:
    stage = Stage().started()
    stage.api.job_error_list = [
        {"code": "UserTaskError", "message": "command exited with code 127\x1b", "stderr": "/jill/jobs/x/stor/err"},
        {"code": "TaskInitError"},
    ]
    stage.api.objects["/jill/jobs/x/stor/err"] = b"sh: no python3\x1b\n"
    assert stage.look({"state": "done", "stats": {"errors": 1, "retries": 2}}) == over(
        "ended",
        "the Manta's compute engine failed in passing; try again",
        "UserTaskError: command exited with code 127\\x1b",
        "TaskInitError: None",
        "  sh: no python3\\x1b",
    )


def test_a_missing_archive_is_named() -> None:
    stage = Stage().started()
    del stage.api.objects[ARCHIVE]
    advice = f"there is no agent's archive at {ARCHIVE}; publish it by: medusa publish manta:{ARCHIVE}"
    assert stage.look(FAILED) == over("ended", advice)


@pytest.mark.parametrize(
    ("method", "remark"),
    [("job_errors", "Busy: no"), ("head_object", "UserTaskError: no"), ("get_object", "UserTaskError: no")],
)
def test_a_question_about_a_failure_that_fails_hides_nothing_else(method: str, remark: str) -> None:
    stage = Stage().started()
    stage.api.job_error_list = [{"code": "UserTaskError", "message": "no", "stderr": "/jill/stor/err"}]
    stage.api.errors[method] = error(503, "Busy")
    assert stage.look(FAILED) == over("ended", remark)


@pytest.mark.parametrize(
    ("clean", "ended", "cancelled"), [(True, False, False), (False, False, True), (False, True, False)]
)
def test_only_a_job_that_goes_on_is_cancelled(clean: bool, ended: bool, cancelled: bool) -> None:
    stage = Stage().started()
    if ended:
        stage.look(DONE)
    count = len(stage.api.asked)
    assert stage.job.close(clean=clean) == []
    assert stage.api.methods()[count:] == ["cancel_job"] * cancelled + ["delete_object"]


@pytest.mark.parametrize("status", [404, 409])
def test_a_job_that_has_just_ended_and_a_deleted_config_are_no_errors(status: int) -> None:
    stage = Stage().started()
    stage.api.objects.clear()
    stage.api.errors["cancel_job"] = error(status)
    assert stage.job.close(clean=False) == []


def test_what_cannot_be_undone_is_reported_and_left_to_the_guard() -> None:
    stage = Stage().started()
    (config,) = stage.api.configs()
    stage.api.errors |= {"cancel_job": error(503, "Busy"), "delete_object": Failure("ssh-agent is gone")}
    assert stage.job.close(clean=False) == [
        f"job {JOB} is not cancelled (Busy: no); cancel it by: mjob cancel {JOB}",
        f"{config} is not removed (ssh-agent is gone); remove it by: mrm {config}",
    ]
    assert [method for method, *_ in stage.guarded()] == ["POST", "DELETE"]


def test_a_job_that_ends_by_itself_is_not_left_to_the_guard() -> None:
    stage = Stage().started()
    stage.api.errors["delete_object"] = error(503)
    stage.job.close(clean=True)
    assert [method for method, *_ in stage.guarded()] == ["DELETE"]


@pytest.mark.parametrize("signs", [True, False])
def test_a_job_that_was_created_and_not_started_is_cancelled(signs: bool) -> None:
    stage = Stage()
    if signs:
        stage.job.create()
    else:  # the guard gets no request, as nobody signs one
        stage.api.errors["prepare"] = Failure("ssh-agent is gone")
        with pytest.raises(Failure):
            stage.job.create()
    assert stage.job.close(clean=False) == []
    assert stage.api.methods() == ["create_job", "cancel_job"]


def test_the_guard_can_undo_everything_at_any_time() -> None:
    stage = Stage()
    cancel = f"https://manta/jobs/{JOB}/live/cancel"
    stage.job.create()
    assert stage.guarded() == [("POST", cancel, "1")]
    stage.job.start(request())
    (config,) = stage.api.configs()
    assert stage.guarded() == [("POST", cancel, "2"), ("DELETE", f"https://manta{config}", "3")]
    stage.look(waiting=False)
    assert stage.api.prepared == 3
    stage.clock.now += RENEWAL
    stage.look(waiting=False)
    assert stage.guarded() == [("POST", cancel, "4"), ("DELETE", f"https://manta{config}", "5")]
    stage.job.close(clean=False)
    assert stage.guarded() == []


def test_a_request_that_is_signed_twice_within_a_second_stays_with_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    same = SignedRequest("POST", "https://manta", {"Date": "now"})
    monkeypatch.setattr(stage.api, "prepared_cancel", lambda job_id: same)
    stage.started()
    assert ("POST", "https://manta", "now") in stage.guarded()
