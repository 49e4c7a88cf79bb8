"""The status in words. The answers follow the API's reference and the messages of the kubelet."""

from __future__ import annotations

from typing import Any

import pytest

from medusa.client.launchers.kubernetes.status import Status, job_status

Object = dict[str, Any]
LATER = "2026-01-01T00:00:09Z"
SERIES = {"count": 3, "lastObservedTime": "2026-01-01T00:00:09.000000Z"}

NO_NODE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}, 2 Insufficient cpu. preemption: 0/3 "
    "nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
)
PULL = (
    'Back-off pulling image "docker.io/library/nothing:1": ErrImagePull: failed to pull and unpack image '
    '"docker.io/library/nothing:1": failed to resolve reference "docker.io/library/nothing:1": not found'
)


def job(**more: Any) -> Object:
    return {"metadata": {"name": "medusa-1", "uid": "job-uid"}, "spec": {}, "status": {}, **more}


def condition(kind: str, status: str, reason: str, message: str = "") -> Object:
    when = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": when}


def pod(phase: str = "Pending", created: str = "2026-01-01T00:00:00Z", **status: Any) -> Object:
    metadata = {"name": f"medusa-1-{created[-3:-1]}", "uid": "pod-uid", "creationTimestamp": created}
    return {"metadata": metadata, "spec": {"nodeName": "gpu-7"}, "status": {"phase": phase, **status}}


def container(name: str = "medusa", **state: Any) -> Object:
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def waiting(reason: str, message: str | None = None) -> Object:
    return pod(containerStatuses=[container(waiting={"reason": reason, **({"message": message} if message else {})})])


def terminated(code: int, reason: str = "Error", **more: Any) -> Object:
    return container(terminated={"exitCode": code, "reason": reason, **more})


def event(reason: str, message: str, kind: str = "Warning", uid: str = "pod-uid", **times: Any) -> Object:
    times = times or {"lastTimestamp": "2026-01-01T00:00:05Z"}
    return {"involvedObject": {"uid": uid}, "type": kind, "reason": reason, "message": message, "metadata": {}, **times}


UNSCHEDULABLE = condition("PodScheduled", "False", "Unschedulable", NO_NODE)
GATED = condition("PodScheduled", "False", "SchedulingGated", "blocked by a gate")
PREEMPTED = condition("DisruptionTarget", "True", "PreemptionByScheduler", "no room")
DISRUPTED = condition("DisruptionTarget", "True", "DeletionByTaintManager", "node lost")


def deleted(phase: str) -> Object:
    found = pod(phase, conditions=[PREEMPTED])
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return found


@pytest.mark.parametrize(
    ("found", "alive", "words"),
    [
        (pod(conditions=[UNSCHEDULABLE]), True, f"Pending: Unschedulable: {NO_NODE.partition(' preemption')[0]}"),
        (pod(conditions=[GATED]), True, "Pending: SchedulingGated: blocked by a gate"),
        (pod(conditions=[condition("PodScheduled", "True", "")]), True, "Pending"),
        (pod(conditions=None, containerStatuses=[]), True, "Pending"),
        (waiting("ContainerCreating"), True, "ContainerCreating"),
        (waiting("PodInitializing"), True, "Pending"),
        (waiting("ImagePullBackOff", PULL), True, f"ImagePullBackOff: {PULL}"),
        (waiting("ErrImagePull", "rpc error:\n  not found"), True, "ErrImagePull: rpc error: not found"),
        (waiting("CreateContainerConfigError", "no secret"), True, "CreateContainerConfigError: no secret"),
        (waiting("Evil", "\x1b[2Jx"), True, "Evil: \\x1b[2Jx"),
        (waiting("InvalidImageName", "no"), False, "InvalidImageName: no"),
        (waiting("ErrImageNeverPull", "no"), False, "ErrImageNeverPull: no"),
        (pod(initContainerStatuses=[container("init", waiting={"reason": "ErrImagePull"})]), True, "ErrImagePull"),
        (pod("Running"), True, "running on gpu-7"),
        (pod("Unknown"), True, "Unknown: its node does not answer"),
        (deleted("Pending"), False, "is being deleted: PreemptionByScheduler: no room"),
        (deleted("Running"), False, "is being deleted: PreemptionByScheduler: no room"),
        (deleted("Failed"), False, "is being deleted: PreemptionByScheduler: no room"),
        (
            pod("Failed", reason="Evicted", message="low ", containerStatuses=[terminated(137)]),
            False,
            "ended: Evicted: low",
        ),
        (pod("Failed", reason="DeadlineExceeded", message="late"), False, "ended: DeadlineExceeded: late"),
        (pod("Failed", conditions=[DISRUPTED]), False, "ended: DeletionByTaintManager: node lost"),
        (pod("Failed"), False, "ended"),
    ],
)
def test_a_pod(found: Object, alive: bool, words: str) -> None:
    status = job_status(job(), [found], [])
    assert (status.alive, status.words) == (alive, words)


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ([terminated(0, "Completed")], "ended with status 0"),
        ([terminated(3)], "ended with status 3"),
        ([terminated(143)], "ended with status 143 (SIGTERM)"),
        ([terminated(255)], "ended with status 255"),
        ([terminated(137, "OOMKilled")], "ended: OOMKilled (status 137)"),
        ([terminated(128, "StartError", message="no sh")], "ended: StartError: no sh (status 128)"),
        ([{**terminated(0, "Completed"), "name": "a"}, {**terminated(1), "name": "b"}], "ended with status 1 in b"),
        ([{**terminated(0, "Completed"), "name": "sidecar"}, terminated(5)], "ended with status 5"),
    ],
)
@pytest.mark.parametrize("field", ["containerStatuses", "initContainerStatuses"])
def test_a_pod_whose_container_has_ended(field: str, containers: list[Object], words: str) -> None:
    found: Object = {field: containers}
    status = job_status(job(), [pod("Failed", **found)], [])
    assert (status.alive, status.words, status.pod) == (False, words, "medusa-1-00")


def test_a_missing_python_is_explained() -> None:
    status = job_status(job(), [pod("Failed", containerStatuses=[terminated(127)])], [])
    assert status.remarks[1] == "or the archive that brings its own Python: --archive agent-standalone.sh"


@pytest.mark.parametrize(
    ("events", "more"),
    [
        ([], ""),
        ([event("FailedMount", "no volume")], ": FailedMount: no volume"),
        ([event("Pulling", 'Pulling image "i"', "Normal")], ': Pulling: Pulling image "i"'),
        ([event("Scheduled", "assigned", "Normal")], ""),
        ([event("FailedMount", "of another", uid="another")], ""),
        ([event("FailedMount", "before"), event("Pulled", "done", "Normal", lastTimestamp=LATER)], ""),
        ([event("Pulled", "", "Normal"), event("FailedMount", "same second")], ": FailedMount: same second"),
        ([event("FailedMount", "old"), event("FailedMount", "new", series=SERIES)], ": FailedMount: new"),
    ],
)
def test_events_of_a_container_that_is_being_created(events: list[Object], more: str) -> None:
    assert job_status(job(), [waiting("ContainerCreating")], events).words == "ContainerCreating" + more


@pytest.mark.parametrize(
    ("found", "events", "expected"),
    [
        (None, [], Status(alive=False, words="was deleted")),
        (job(), [], Status(alive=True, words="has no pod yet")),
        (job(spec={"suspend": True}), [], Status(alive=True, words="suspended, by what queues jobs in this cluster")),
        (
            job(status={"conditions": [condition("Failed", "True", "BackoffLimitExceeded", "limit reached")]}),
            [],
            Status(alive=False, words="failed, its pod is gone", remarks=("BackoffLimitExceeded: limit reached",)),
        ),
        (
            job(),
            [event("FailedCreate", "exceeded quota: compute", uid="job-uid")],
            Status(alive=True, words="no pod: exceeded quota: compute"),
        ),
        (
            job(),
            [event("FailedCreate", 'violates PodSecurity "restricted:latest"', uid="job-uid")],
            Status(alive=False, words='no pod: violates PodSecurity "restricted:latest"'),
        ),
    ],
)
def test_a_job_without_a_pod(found: Object | None, events: list[Object], expected: Status) -> None:
    assert job_status(found, [], events) == expected


def test_the_latest_pod_counts() -> None:
    pods = [pod("Failed"), pod("Running", "2026-01-01T00:00:01Z")]
    assert job_status(job(), pods, []).words == "running on gpu-7"


def test_the_start_and_the_time_limit() -> None:
    found = pod("Running", startTime="2026-01-01T00:00:07Z")
    found["spec"]["activeDeadlineSeconds"] = 60
    status = job_status(job(), [found], [])
    assert (status.started, status.limit) == ("2026-01-01T00:00:07Z", 60)
