from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.kubernetes.api import Access
from medusa.client.launchers.kubernetes.errors import KubeError
from medusa.client.launchers.kubernetes.job import LAST_WORDS, RENEWAL, URL_LIFETIME, KubeJob
from medusa.client.launchers.kubernetes.options import Wanted
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

NAME = "medusa-0123abcd"
ACCESS = Access("/k", None, "ns")
AWAY = KubeError("the cluster does not answer: refused")
Object = dict[str, Any]


class FakeApi:
    """A cluster of one pod.

    Attributes:
        errors: verb and kind -> what the next such call raises.
    """

    access = ACCESS

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.errors: dict[str, KubeError] = {}
        self.sent: list[Object] = []
        self.pod: Object | None = None
        self.event: Object | None = None
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
        self._ask("list event")
        return [self.event] if self.event else []

    def log(self, pod: str, container: str, lines: int) -> list[str]:
        self._ask("log")
        return ["last line"]


class Telling:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def tell(self, line: str) -> None:
        sign, kind, value = json.loads(line)
        self.lines.append((sign, kind, value))

    def done(self) -> None: ...


class Setting:
    def __init__(self, archive: bytes = b"archive") -> None:
        self.api, self.guard, self.now = FakeApi(), Telling(), 0.0
        self.lifetimes: list[float] = []
        self.job = KubeJob(self.api, Ledger(self.guard), Wanted("i"), archive, NAME, lambda: self.now, self.nap)

    def nap(self, seconds: float) -> None:
        self.now += seconds

    def start(self, url: Callable[[float], str] | None = None) -> None:
        self.job.start(JobRequest(url or self.url, None))

    def url(self, lifetime: float) -> str:
        self.lifetimes.append(lifetime)
        return f"http://r/{len(self.lifetimes)}"


@pytest.fixture
def at() -> Setting:
    return Setting()


def pod(phase: str, **status: Any) -> Object:
    metadata = {"name": "p", "uid": "p", "creationTimestamp": "1970-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"nodeName": "n"}, "status": {"phase": phase, **status}}


def test_the_guard_knows_before_anything_stands_there(at: Setting) -> None:
    at.api.errors["create secret"] = KubeError("forbidden", 403)
    at.start()
    ((sign, kind, value),) = at.guard.lines
    assert (sign, kind) == ("+", "command")
    assert json.loads(value)[-2:] == [f"job/{NAME}", f"secret/{NAME}"]
    assert "http" not in value
    assert (at.job.state.alive, at.job.state.words, at.job.remarks) == (False, "failed", ["forbidden"])


def test_the_secret_comes_first_and_goes_with_the_job(at: Setting) -> None:
    at.start()
    assert at.api.asked[:4] == ["create secret", "create job", "get job", "patch secret"]
    assert at.api.sent[2]["metadata"]["ownerReferences"][0]["uid"] == "j"
    assert at.lifetimes == [URL_LIFETIME]
    assert "http" not in json.dumps(at.api.sent[1])
    assert at.job.state.words == "has no pod yet"


def test_a_large_archive_has_config_maps_that_go_as_well() -> None:
    at = Setting(bytes(2_500_000))
    at.start()
    kinds = [what.partition(" ")[2] for what in at.api.asked if what.startswith("create")]
    assert kinds == ["secret", "configmap", "configmap", "configmap", "job"]
    assert at.api.asked.count("patch configmap") == 3
    at.job.close(clean=True)
    assert at.api.asked.count("delete configmap") == 3


def test_an_answer_that_was_lost_is_no_second_job(at: Setting) -> None:
    at.api.errors["create job"] = AWAY
    at.start()
    assert at.job.state.alive
    assert str(AWAY) in at.job.state.words
    at.api.errors["create job"] = KubeError("already exists", 409)
    at.job.look(waiting=True)
    assert at.job.state.words == "has no pod yet"


def test_a_cluster_that_never_answered_is_not_waited_for(at: Setting) -> None:
    at.api.errors["create secret"] = AWAY
    at.start()
    assert (at.job.state.alive, at.job.remarks) == (False, [str(AWAY)])


def test_who_cannot_sign_has_no_job(at: Setting) -> None:
    def url(lifetime: float) -> str:
        raise Failure("the agent does not sign")

    at.start(url)
    assert (at.job.state.alive, at.job.remarks) == (False, ["the agent does not sign"])


def test_trouble_while_it_waits_stands_behind_what_was_known(at: Setting) -> None:
    at.api.pod = pod("Pending")
    at.start()
    at.api.errors["list pod"] = KubeError("list pods: forbidden (403)", 403)
    at.job.look(waiting=True)
    assert (at.job.state.alive, at.job.state.words) == (True, "Pending; list pods: forbidden (403)")


def test_the_config_is_renewed_while_it_waits_only(at: Setting) -> None:
    at.start()
    at.now = RENEWAL
    at.job.look(waiting=False)
    assert len(at.lifetimes) == 1
    at.job.look(waiting=True)
    config = json.loads(base64.b64decode(at.api.sent[-1]["data"]["config.json"]))
    assert config["signed_url"] == "http://r/2"


def test_events_are_asked_for_while_it_waits_only(at: Setting) -> None:
    at.api.pod = pod("Running")
    at.start()
    assert "list event" not in at.api.asked


def test_who_may_not_read_events_is_told_less(at: Setting) -> None:
    at.api.errors["list event"] = KubeError("forbidden", 403)
    at.start()
    assert at.job.state.words == "has no pod yet"


def test_the_end_of_its_time(at: Setting) -> None:
    """By the cluster's clock, which is another than this machine's."""
    at.api.pod = pod("Running", startTime="1970-01-12T13:46:10Z")  # 30 s before the cluster's now
    at.api.pod["spec"]["activeDeadlineSeconds"] = 100
    at.now = 500.0
    at.start()
    assert at.job.state.ends_at == 570.0


def test_what_ended_shows_its_log(at: Setting) -> None:
    ended = {"name": "medusa", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
    at.api.pod = pod("Failed", startTime="1970-01-01T00:00:00Z", containerStatuses=[ended])
    at.start()
    assert (at.job.state.alive, at.job.state.words) == (False, "ended with status 3")
    assert at.job.remarks == ["last line"]


def test_a_job_that_is_gone(at: Setting) -> None:
    at.start()
    at.api.job = None
    at.job.look(waiting=True)
    assert (at.job.state.alive, at.job.state.words) == (False, "was deleted")


def test_what_was_refused_is_not_there_to_be_removed(at: Setting) -> None:
    at.api.errors["create job"] = KubeError("forbidden", 403)
    at.start()
    assert at.job.close(clean=False) == []
    assert [what for what in at.api.asked if what.startswith("delete")] == ["delete secret"]


def test_a_cluster_that_never_answered_is_asked_once_and_left_to_the_guard(at: Setting) -> None:
    at.api.errors.update({"create secret": AWAY, "delete secret": AWAY})
    at.start()
    assert at.job.close(clean=False) == []
    assert (at.now, [sign for sign, _, _ in at.guard.lines]) == (0, ["+"])


def test_nothing_is_removed_that_was_never_asked_for(at: Setting) -> None:
    assert at.job.close(clean=False) == []
    assert at.api.asked == []


def test_what_was_removed_is_taken_back_from_the_guard(at: Setting) -> None:
    at.start()
    assert at.job.close(clean=True) == []
    assert [sign for sign, _, _ in at.guard.lines] == ["+", "-"]
    assert at.api.asked[-2:] == ["delete job", "delete secret"]


def test_what_is_left_is_told_and_left_to_the_guard(at: Setting) -> None:
    at.start()
    at.api.errors["delete job"] = KubeError("delete jobs.batch: no (403)", 403)
    (line,) = at.job.close(clean=True)
    assert line == (
        f"not removed: job {NAME} (delete jobs.batch: no (403)); remove it by: kubectl --kubeconfig /k -n ns "
        f"delete job,secret,configmap -l app.kubernetes.io/instance={NAME}"
    )
    assert [sign for sign, _, _ in at.guard.lines] == ["+"]


def test_a_pod_has_some_seconds_to_say_who_ended_it(at: Setting) -> None:
    at.api.pod = pod("Running")
    at.start()
    at.job.joined = True
    at.job.close(clean=False)
    assert at.now >= LAST_WORDS
    assert at.api.asked.index("delete job") > len(at.api.asked) - 3


def test_a_cluster_that_is_away_is_not_asked_for_last_words(at: Setting) -> None:
    at.start()
    at.job.joined = True
    at.api.errors["list pod"] = AWAY
    at.job.close(clean=False)
    assert at.now == 0
