"""A Manta job, step by step, against an API that answers what the test says."""

from __future__ import annotations

import re

import pytest

from medusa.client.launchers.base import JobState, MantaJobOptions
from medusa.client.launchers.manta.errors import MantaError
from medusa.client.outcome import Failure
from tests.unit.client.launchers.manta.fake_api import ARCHIVE, JOB, error, request
from tests.unit.client.launchers.manta.stages import RENEWAL, Stage, alive, over


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
