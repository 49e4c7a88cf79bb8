"""The end of a job of a Manta: what is shown, cancelled, undone, and left to the guard."""

from __future__ import annotations

import pytest

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.outcome import Failure
from tests.unit.client.launchers.manta.fake_api import ARCHIVE, JOB, error, request
from tests.unit.client.launchers.manta.stages import DONE, FAILED, RENEWAL, Stage, over


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
