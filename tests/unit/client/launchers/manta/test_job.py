from __future__ import annotations

import re

import pytest

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.launchers.base import JobState, Wishes
from medusa.client.launchers.manta.api import MantaError
from medusa.client.launchers.manta.job import RENEWAL, MantaJob
from medusa.client.ledger import Ledger, left_open
from medusa.client.outcome import Failure
from tests.unit.client.mantas import JOB, FakeApi, error, request
from tests.unit.client.peers import Clock, Told

ARCHIVE = "/poseidon/public/medusa/agent.sh"
DONE = {"state": "done", "stats": {}}


class Stage:
    """A job, its Manta and its clock."""

    def __init__(self, wishes: Wishes | None = None, target: str | None = None) -> None:
        self.api, self.clock, self.told = FakeApi(), Clock(), Told()
        self.job = MantaJob(self.api, Ledger(self.told), "jill", wishes or Wishes(), target, self.clock)

    def started(self) -> Stage:
        self.job.create()
        self.job.start(request())
        return self

    def insured(self) -> list[tuple[str, str, str]]:
        """Method, URL and date of what the guard would ask, in order."""
        requests = [SignedRequest.parse(value) for kind, value in left_open(self.told.lines) if kind == "request"]
        return [(request.method, request.url, request.headers["Date"]) for request in requests]

    def asked_since(self, count: int) -> list[str]:
        return self.api.methods()[count:]


def test_a_reduce_job_without_an_object() -> None:
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


def test_a_map_job_on_an_object() -> None:
    stage = Stage(target="~~/stor/some dir/../a file")
    stage.api.objects["/jill/stor/a file"] = b""
    stage.started()
    assert stage.api.jobs[0]["phases"][0]["type"] == "map"
    assert stage.api.methods() == ["head_object", "create_job", "put_object", "add_job_key", "end_job_input"]
    assert ("add_job_key", JOB, "/jill/stor/a file") in stage.api.asked


def test_wishes() -> None:
    assets = ("~~/stor/a tool", "/joe/public/x")
    stage = Stage(Wishes(8, 1024, "echo hi", "13.3", assets, "~~/public/my agent.sh")).started()
    (phase,) = stage.api.jobs[0]["phases"]
    agent, _, *others = phase["assets"]
    assert (agent, others) == ("/jill/public/my agent.sh", ["/jill/stor/a tool", "/joe/public/x"])
    assert phase["exec"] == "'/assets/jill/public/my agent.sh'"
    wishes = {name: phase[name] for name in ("disk", "memory", "init", "image")}
    assert wishes == {"disk": 8, "memory": 1024, "init": "echo hi", "image": "13.3"}


@pytest.mark.parametrize(
    ("status", "why"), [(404, "/jill/stor/x: there is no such object"), (403, "/jill/stor/x: you may not read")]
)
def test_an_object_that_cannot_be_worked_on(status: int, why: str) -> None:
    stage = Stage(target="/jill/stor/x")
    stage.api.errors["head_object"] = error(status)
    with pytest.raises(Failure, match=why):
        stage.job.create()
    assert stage.api.jobs == []
    assert stage.job.close(clean=False) == []
    assert stage.api.methods() == ["head_object"]


def test_a_directory() -> None:
    stage = Stage(target="/jill/stor")
    stage.api.objects["/jill/stor"] = None
    with pytest.raises(Failure, match="/jill/stor is a directory; a job works on an object"):
        stage.job.create()


def test_a_manta_that_does_not_answer() -> None:
    stage = Stage(target="/jill/stor/x")
    stage.api.errors["head_object"] = error(None)
    with pytest.raises(MantaError):
        stage.job.create()


@pytest.mark.parametrize("wishes", [Wishes(agent="agent.sh"), Wishes(assets=("tool",))])
def test_a_path_that_is_none(wishes: Wishes) -> None:
    with pytest.raises(MantaError, match="is not a path in Manta"):
        Stage(wishes)


@pytest.mark.parametrize("method", ["put_object", "add_job_key", "end_job_input"])
def test_what_fails_on_the_way_to_the_queue_is_told_and_undone(method: str) -> None:
    stage = Stage(target="/jill/stor/x")
    stage.api.objects["/jill/stor/x"] = b""
    stage.api.errors[method] = error(503, "Busy")
    stage.started()
    assert stage.job.state == JobState(alive=False, words="failed")
    assert stage.job.remarks == ["Busy: no"]
    assert stage.job.close(clean=False) == []
    assert stage.api.methods()[-2:] == ["cancel_job", "delete_object"]
    assert stage.api.configs() == []


def test_a_key_that_went_away_on_the_way_to_the_queue() -> None:
    stage = Stage()
    stage.api.errors["put_object"] = Failure("no key\nany more")
    assert not stage.started().job.state.alive
    assert stage.job.remarks == ["no key", "any more"]


def test_the_state_in_words() -> None:
    stage = Stage().started()
    for words in ("queued", "running", "on\x1b fire"):
        stage.api.status = {"state": words}
        stage.job.look(waiting=True)
        assert stage.job.state == JobState(alive=True, words=words.replace("\x1b", "\\x1b"))


def test_a_manta_that_is_away_for_a_while_is_no_end() -> None:
    stage = Stage().started()
    stage.api.errors["job_status"] = [error(None), Failure("ssh-agent is locked")]
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=True, words="unknown; SomeError: no")
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=True, words="unknown; ssh-agent is locked")
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=True, words="queued")


def test_a_job_of_twenty_minutes_in_the_queue_always_has_a_fresh_url() -> None:
    """Looked at every five seconds, it never has one that is older than RENEWAL and a look."""
    stage = Stage().started()
    urls = {stage.api.signed_url(): stage.clock.now}
    for _ in range(20 * 60 // 5):
        stage.clock.now += 5
        stage.job.look(waiting=True)
        urls.setdefault(stage.api.signed_url(), stage.clock.now)
        assert stage.clock.now - urls[stage.api.signed_url()] <= RENEWAL
    assert len(urls) == 1 + 20 * 60 // RENEWAL
    assert stage.job.close(clean=False) == []
    assert stage.api.configs() == []


def test_a_renewal_that_fails_is_tried_again_at_the_next_look() -> None:
    stage = Stage().started()
    stage.clock.now += RENEWAL
    stage.api.errors["put_object"] = [error(503, "Busy")]
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=True, words="queued; Busy: no")
    stage.clock.now += 5
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=True, words="queued")
    assert stage.api.methods().count("put_object") == 3


def test_nothing_is_renewed_once_the_agent_is_there() -> None:
    stage = Stage().started()
    stage.clock.now += 10 * RENEWAL
    stage.job.look(waiting=False)
    assert stage.api.methods().count("put_object") == 1


def test_a_job_that_ends_without_a_reason() -> None:
    stage = Stage().started()
    stage.api.status = DONE
    stage.job.look(waiting=True)
    assert (stage.job.state, stage.job.remarks) == (JobState(alive=False, words="ended"), [])


def test_a_job_that_somebody_cancelled() -> None:
    stage = Stage().started()
    stage.api.status = {**DONE, "cancelled": True}
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=False, words="was cancelled")


def test_a_job_that_fails_tells_why() -> None:
    stage = Stage().started()
    stage.api.status = {"state": "done", "stats": {"errors": 1, "retries": 2}}
    stage.api.job_error_list = [
        {
            "code": "UserTaskError",
            "message": "user command exited with code 127\x1b",
            "stderr": "/jill/jobs/x/stor/err",
        },
        {"code": "TaskInitError"},
    ]
    stage.api.objects["/jill/jobs/x/stor/err"] = b"sh: no python3\x1b\n"
    stage.job.look(waiting=True)
    assert stage.job.remarks == [
        "the Manta's compute engine failed in passing; try again",
        "UserTaskError: user command exited with code 127\\x1b",
        "TaskInitError: None",
        "  sh: no python3\\x1b",
    ]


def test_a_missing_archive_is_told_with_what_to_do() -> None:
    stage = Stage().started()
    stage.api.status = {"state": "done", "stats": {"errors": 1}}
    del stage.api.objects[ARCHIVE]
    stage.job.look(waiting=True)
    assert stage.job.remarks == [
        f"there is no agent's archive at {ARCHIVE}; publish it by: medusa publish manta:{ARCHIVE}"
    ]


@pytest.mark.parametrize("method", ["job_errors", "head_object", "get_object"])
def test_reasons_that_cannot_be_had(method: str) -> None:
    stage = Stage().started()
    stage.api.status = {"state": "done", "stats": {"errors": 1}}
    stage.api.job_error_list = [{"code": "UserTaskError", "message": "no", "stderr": "/jill/stor/err"}]
    stage.api.errors[method] = error(503, "Busy")
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=False, words="ended")
    assert stage.job.remarks == (["Busy: no"] if method == "job_errors" else ["UserTaskError: no"])


@pytest.mark.parametrize("status", [{}, {"state": 7}, {"state": "done", "stats": [1]}])
def test_an_answer_of_another_form_does_no_harm(status: dict[str, object]) -> None:
    stage = Stage().started()
    stage.api.status = status
    stage.job.look(waiting=True)
    assert stage.job.state.alive == (status.get("state") != "done")


@pytest.mark.parametrize(
    ("clean", "ended", "cancelled"), [(True, False, False), (False, False, True), (False, True, False)]
)
def test_only_a_job_that_goes_on_is_cancelled(clean: bool, ended: bool, cancelled: bool) -> None:
    stage = Stage().started()
    if ended:
        stage.api.status = DONE
        stage.job.look(waiting=False)
    count = len(stage.api.asked)
    assert stage.job.close(clean=clean) == []
    assert stage.asked_since(count) == ["cancel_job"] * cancelled + ["delete_object"]


def test_a_config_that_the_agent_removed_is_no_error() -> None:
    stage = Stage().started()
    stage.api.objects.clear()
    assert stage.job.close(clean=True) == []


@pytest.mark.parametrize("status", [404, 409])
def test_a_job_that_is_over_by_then_is_no_error(status: int) -> None:
    stage = Stage().started()
    stage.api.errors["cancel_job"] = error(status)
    assert stage.job.close(clean=False) == []


def test_what_could_not_be_undone_is_told_with_what_to_do() -> None:
    stage = Stage().started()
    (config,) = stage.api.configs()
    stage.api.errors |= {"cancel_job": error(503, "Busy"), "delete_object": Failure("ssh-agent is gone")}
    assert stage.job.close(clean=False) == [
        f"job {JOB} is not cancelled (Busy: no); cancel it by: mjob cancel {JOB}",
        f"{config} is not removed (ssh-agent is gone); remove it by: mrm {config}",
    ]


def test_a_job_that_was_not_started_has_no_config_to_remove() -> None:
    stage = Stage()
    stage.job.create()
    assert stage.job.close(clean=False) == []
    assert stage.api.methods() == ["create_job", "cancel_job"]


def test_the_guard_can_undo_all_of_it_at_any_time() -> None:
    stage = Stage()
    cancel = f"https://manta/jobs/{JOB}/live/cancel"
    stage.job.create()
    assert stage.insured() == [("POST", cancel, "1")]
    stage.job.start(request())
    (config,) = stage.api.configs()
    assert stage.insured() == [("POST", cancel, "2"), ("DELETE", f"https://manta{config}", "3")]
    stage.job.look(waiting=False)
    assert stage.api.prepared == 3
    stage.clock.now += RENEWAL
    stage.job.look(waiting=False)
    assert stage.insured() == [("POST", cancel, "4"), ("DELETE", f"https://manta{config}", "5")]
    stage.job.close(clean=False)
    assert stage.insured() == []


def test_a_request_that_is_signed_twice_within_a_second_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    same = SignedRequest("POST", "https://manta", {"Date": "now"})
    monkeypatch.setattr(stage.api, "prepared_cancel", lambda job_id: same)
    stage.started()
    assert ("POST", "https://manta", "now") in stage.insured()


def test_what_could_not_be_undone_is_left_to_the_guard() -> None:
    stage = Stage().started()
    stage.api.errors |= {"cancel_job": error(503), "delete_object": error(503)}
    stage.job.close(clean=False)
    assert [method for method, *_ in stage.insured()] == ["POST", "DELETE"]


def test_a_job_that_ends_by_itself_is_not_left_to_the_guard() -> None:
    stage = Stage().started()
    stage.api.errors["delete_object"] = error(503)
    stage.job.close(clean=True)
    assert [method for method, *_ in stage.insured()] == ["DELETE"]


def test_a_job_that_was_created_is_cancelled_though_its_guard_gets_nothing() -> None:
    stage = Stage()
    stage.api.errors["prepare"] = Failure("ssh-agent is gone")
    with pytest.raises(Failure):
        stage.job.create()
    stage.job.close(clean=False)
    assert stage.api.methods() == ["create_job", "cancel_job"]
