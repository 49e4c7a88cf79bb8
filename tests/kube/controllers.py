"""The control loop: Job controller, scheduler and garbage collector, and the steps of the one node."""

from __future__ import annotations

import copy
import secrets
import threading
from typing import Any

from tests.kube import rules
from tests.kube.events import Events
from tests.kube.knobs import Knobs
from tests.kube.node import NODE, Node
from tests.kube.objects import Object, Store, now

INTERVAL = 0.02
"""Seconds between two rounds; processes and knobs do not announce their changes."""


class Controllers:
    """A thread that repeatedly changes the cluster towards the state that its objects ask for."""

    def __init__(self, store: Store, events: Events, node: Node, knobs: Knobs) -> None:
        self._store, self._events, self._node, self._knobs = store, events, node, knobs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="controllers")
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._node.stop()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(INTERVAL):
                with self._store.changed:
                    self._store.collect_garbage()
                    for job in self._store.find("jobs"):
                        self._control(job)
                    for pod in self._store.find("pods"):
                        self._schedule(pod)
                    self._node.step()
        except BaseException as failure:  # noqa: BLE001 - the test reads it
            self.failure = failure

    def _control(self, job: Object) -> None:
        if "deletionTimestamp" in job["metadata"] or job["spec"].get("suspend"):
            return
        if _finished(job):
            return
        pods = [pod for plural, pod in self._store.owned(job) if plural == "pods"]
        status = job.setdefault("status", {})
        if not status.get("startTime"):
            status.update(startTime=now(), conditions=[], active=0)
            self._make_pod(job)
        elif not pods and not status["active"]:
            self._make_pod(job)
        elif any(_phase(pod) == "Succeeded" for pod in pods):
            self._end(job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        elif not pods or any(_phase(pod) == "Failed" for pod in pods):
            self._end(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")

    def _make_pod(self, job: Object) -> None:
        if self._knobs.quota is not None:
            self._events.note(job, "FailedCreate", f"Error creating: {self._knobs.quota}", "Warning")
            return
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        template = copy.deepcopy(job["spec"]["template"])
        labels = {"job-name": name, "batch.kubernetes.io/job-name": name, "controller-uid": uid}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{secrets.token_hex(3)[:5]}",
                "labels": {**template["metadata"].get("labels", {}), **labels},
                "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        made = self._store.create("pods", job["metadata"]["namespace"], pod)
        self._events.note(job, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        job["status"]["active"] = 1
        self._store.touch("jobs", job)

    def _end(self, job: Object, kind: str, reason: str, message: str) -> None:
        status = job["status"]
        condition = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now()}
        status["conditions"].append(condition)
        status["active"] = 0
        status["succeeded" if kind == "Complete" else "failed"] = 1
        if kind == "Complete":
            status["completionTime"] = now()
        rules.check("Job", "batch/v1", job)
        self._events.note(job, reason, message, "Normal" if kind == "Complete" else "Warning")
        self._store.touch("jobs", job)

    def _schedule(self, pod: Object) -> None:
        if "nodeName" in pod["spec"] or _phase(pod) != "Pending":
            return
        if self._knobs.unschedulable is not None:
            condition = _scheduled("False", "Unschedulable", self._knobs.unschedulable)
            self._events.note(pod, "FailedScheduling", self._knobs.unschedulable, "Warning")
            if pod["status"].get("conditions") == [condition]:
                return
            pod["status"]["conditions"] = [condition]
        else:
            pod["spec"]["nodeName"] = NODE
            pod["status"]["conditions"] = [_scheduled("True")]
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            self._events.note(pod, "Scheduled", f"Successfully assigned {name} to {NODE}")
        rules.check("Pod", "v1", pod)
        self._store.touch("pods", pod)


def _scheduled(status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": status}
    return {**condition, **({"reason": reason, "message": message} if reason else {})}


def _phase(pod: Object) -> str:
    phase: str = pod["status"]["phase"]
    return phase


def _finished(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)
