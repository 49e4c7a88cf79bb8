"""A session's Job against a cluster that answers what the test says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from medusa.client.launchers.base import JobRequest, JobState
from medusa.client.launchers.kubernetes.cluster.access import Access
from medusa.client.launchers.kubernetes.cluster.errors import KubeError
from medusa.client.launchers.kubernetes.job import KubeJob
from medusa.client.launchers.kubernetes.options import PodOptions
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import KubernetesTimeouts
from tests.unit.client.peers import Told
from tests.waiting import Clock

NAME = "medusa-0123abcd"
TIMES = KubernetesTimeouts()
AWAY = KubeError("the cluster does not answer: refused")
FORBIDDEN = KubeError("forbidden", 403)
Object = dict[str, Any]


class FakeApi:
    """A cluster of one pod.

    Attributes:
        asked: verb and kind of each call.
        errors: verb and kind -> what the next such call raises.
    """

    access = Access("/k", None, "ns")

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.errors: dict[str, KubeError] = {}
        self.sent: list[Object] = []
        self.pod: Object | None = None
        self.job: Object | None = None

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        error = self.errors.pop(what, None)
        if error is not None:
            raise error

    def now(self) -> float:
        return 1_000_000.0

    def create(self, kind: str, body: Object) -> Object:
        self.sent.append(body)
        if kind == "job":
            self.job = {**body, "metadata": {**body["metadata"], "uid": "j"}}
        self._ask(f"create {kind}")
        return body

    def get(self, kind: str, name: str) -> Object:
        self._ask(f"get {kind}")
        if self.job is None:
            raise KubeError("not found", 404)
        return self.job

    def patch(self, kind: str, name: str, body: Object) -> None:
        self._ask(f"patch {kind}")
        self.sent.append(body)

    def delete(self, kind: str, name: str) -> None:
        self._ask(f"delete {kind}")

    def pods(self, selector: str) -> list[Object]:
        self._ask("list pod")
        return [self.pod] if self.pod else []

    def events(self, name: str) -> list[Object]:
        self._ask(f"list event {name}")
        return []

    def log(self, pod: str, container: str, lines: int) -> list[str]:
        self._ask("log")
        return ["last line"]

    def all_asked(self, verb: str) -> list[str]:
        return [what for what in self.asked if what.startswith(verb)]


class Stage:
    """A job, its cluster, its guard and its clock."""

    def __init__(self, archive: bytes = b"archive") -> None:
        self.api, self.guard, self.clock = FakeApi(), Told(), Clock()
        self.lifetimes: list[float] = []
        self.job = KubeJob(self.api, Ledger(self.guard), PodOptions("i"), archive, NAME, TIMES, self.clock)

    def start(self, url: Callable[[float], str] | None = None) -> None:
        self.job.start(JobRequest(session_url=url or self.url))

    def url(self, lifetime: float) -> str:
        self.lifetimes.append(lifetime)
        return f"http://r/{len(self.lifetimes)}"

    @property
    def signs(self) -> list[str]:
        """+ for each entry that the guard got, - for each that was taken back."""
        return [json.loads(line)[0] for line in self.guard.lines]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def pod(phase: str, **status: Any) -> Object:
    metadata = {"name": "p", "uid": "p", "creationTimestamp": "1970-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"nodeName": "n"}, "status": {"phase": phase, **status}}


def test_the_guard_gets_its_command_before_anything_is_created(stage: Stage) -> None:
    stage.api.errors["create secret"] = FORBIDDEN
    stage.start()
    ((sign, kind, value),) = map(json.loads, stage.guard.lines)
    assert (sign, kind) == ("+", "command")
    assert json.loads(value)[-2:] == [f"job/{NAME}", f"secret/{NAME}"]
    assert "http" not in value
    assert (stage.job.state, stage.job.remarks) == (JobState(alive=False, words="failed"), ["forbidden"])


def test_the_secret_is_created_first_and_belongs_to_the_job(stage: Stage) -> None:
    stage.start()
    assert stage.api.asked[:4] == ["create secret", "create job", "get job", "patch secret"]
    assert stage.api.sent[2]["metadata"]["ownerReferences"][0]["uid"] == "j"
    assert stage.lifetimes == [TIMES.url_lifetime]
    assert "http" not in json.dumps(stage.api.sent[1])
    assert stage.job.state.words == "has no pod yet"


def test_a_large_archive_gets_config_maps_which_are_deleted_too() -> None:
    stage = Stage(bytes(2_500_000))
    stage.start()
    assert stage.api.all_asked("create") == ["create secret", *["create configmap"] * 3, "create job"]
    assert stage.api.asked.count("patch configmap") == 3
    stage.job.close(clean=True)
    assert stage.api.asked.count("delete configmap") == 3


def test_a_lost_answer_does_not_lead_to_a_second_job(stage: Stage) -> None:
    stage.api.errors["create job"] = AWAY
    stage.start()
    assert stage.job.state == JobState(alive=True, words="being created", problem=str(AWAY))
    stage.api.errors["create job"] = KubeError("already exists", 409)
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=True, words="has no pod yet")


def test_a_cluster_that_never_answers_is_given_up_and_asked_to_delete_once(stage: Stage) -> None:
    stage.api.errors.update({"create secret": AWAY, "delete secret": AWAY})
    stage.start()
    assert (stage.job.state.alive, stage.job.remarks) == (False, [str(AWAY)])
    begun = stage.clock.now
    assert stage.job.close(clean=False) == []
    assert (stage.clock.now - begun, stage.signs) == (0, ["+"])  # the guard goes on


def test_without_a_signature_there_is_no_job(stage: Stage) -> None:
    def url(lifetime: float) -> str:
        raise Failure("the agent does not sign")

    stage.start(url)
    assert (stage.job.state.alive, stage.job.remarks) == (False, ["the agent does not sign"])


def test_a_failed_question_leaves_the_last_known_state(stage: Stage) -> None:
    stage.api.pod = pod("Pending")
    stage.start()
    stage.api.errors["list pod"] = FORBIDDEN
    stage.job.look(waiting=True)
    assert stage.job.state.describe() == "Pending; forbidden"
    assert stage.job.state.alive


def test_the_config_is_renewed_only_while_the_job_waits(stage: Stage) -> None:
    stage.start()
    stage.clock.now += TIMES.renewal_interval
    stage.job.look(waiting=False)
    assert len(stage.lifetimes) == 1
    stage.job.look(waiting=True)
    config = json.loads(base64.b64decode(stage.api.sent[-1]["data"]["config.json"]))
    assert config["signed_url"] == "http://r/2"


@pytest.mark.parametrize(
    ("found", "asked"), [(None, ["list event " + NAME]), ("Pending", ["list event p"]), ("Running", [])]
)
def test_events_are_read_only_while_the_job_waits(stage: Stage, found: str | None, asked: list[str]) -> None:
    stage.api.pod = pod(found) if found else None
    stage.start()
    assert stage.api.all_asked("list event") == asked


def test_no_right_to_read_events_is_no_problem(stage: Stage) -> None:
    stage.api.errors["list event " + NAME] = FORBIDDEN
    stage.start()
    assert stage.job.state == JobState(alive=True, words="has no pod yet")


def test_the_end_of_the_pods_time_goes_by_the_clusters_clock(stage: Stage) -> None:
    stage.api.pod = pod("Running", startTime="1970-01-12T13:46:10Z")  # 30 s before the cluster's now
    stage.api.pod["spec"]["activeDeadlineSeconds"] = 100
    stage.start()
    assert stage.job.state.ends_at == stage.clock.now + 70


def test_a_pod_that_ended_shows_its_log(stage: Stage) -> None:
    ended = {"name": "medusa", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
    stage.api.pod = pod("Failed", startTime="1970-01-01T00:00:00Z", containerStatuses=[ended])
    stage.start()
    assert stage.job.state == JobState(alive=False, words="ended with status 3")
    assert stage.job.remarks == ["last line"]


def test_a_job_that_somebody_deleted_is_over(stage: Stage) -> None:
    stage.start()
    stage.api.job = None
    stage.job.look(waiting=True)
    assert stage.job.state == JobState(alive=False, words="was deleted")


def test_a_refused_object_is_not_deleted(stage: Stage) -> None:
    stage.api.errors["create job"] = FORBIDDEN
    stage.start()
    assert stage.job.close(clean=False) == []
    assert stage.api.all_asked("delete") == ["delete secret"]


def test_nothing_is_deleted_before_the_start(stage: Stage) -> None:
    assert stage.job.close(clean=False) == []
    assert stage.api.asked == []


def test_after_a_successful_deletion_the_guard_has_nothing_to_do(stage: Stage) -> None:
    stage.start()
    assert stage.job.close(clean=True) == []
    assert stage.signs == ["+", "-"]
    assert stage.api.asked[-2:] == ["delete job", "delete secret"]


def test_what_cannot_be_deleted_is_reported_and_left_to_the_guard(stage: Stage) -> None:
    stage.start()
    stage.api.errors["delete job"] = KubeError("delete jobs.batch: no (403)", 403)
    (line,) = stage.job.close(clean=True)
    assert line == (
        f"not removed: job {NAME} (delete jobs.batch: no (403)); remove it by: kubectl --kubeconfig /k -n ns "
        f"delete job,secret,configmap -l app.kubernetes.io/instance={NAME}"
    )
    assert stage.signs == ["+"]


@pytest.mark.parametrize(("error", "grace", "waited"), [(None, 5.0, True), (AWAY, 5.0, False), (None, 0.5, False)])
def test_after_a_cut_session_the_pod_gets_time_to_say_why(
    stage: Stage, error: KubeError | None, grace: float, waited: bool
) -> None:
    stage.job.grace = grace
    stage.api.pod = pod("Running")
    stage.start()
    begun, stage.job.joined = stage.clock.now, True
    if error is not None:
        stage.api.errors["list pod"] = error
    stage.job.close(clean=False)
    assert (stage.clock.now - begun >= TIMES.last_words_timeout) == waited
    assert stage.api.asked[-2:] == ["delete job", "delete secret"]
