"""The control loop: Job controller, scheduler and garbage collector, and the steps of the one node."""

from __future__ import annotations

import copy
import secrets
import threading

from tests.kube import rules
from tests.kube.knobs import Knobs
from tests.kube.node import NODE, Node
from tests.kube.objects import Object, Store, now, owners

INTERVAL = 0.02
"""Seconds between two rounds; processes and knobs do not announce their changes."""


class Controllers:
    """A thread that repeatedly changes the cluster towards the state that its objects ask for."""

    def __init__(self, store: Store, node: Node, knobs: Knobs) -> None:
        self._store, self._node, self._knobs = store, node, knobs
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
        if job.setdefault("status", {}).get("conditions"):
            return
        phases = [pod["status"]["phase"] for pod in self._store.find("pods") if job["metadata"]["uid"] in owners(pod)]
        if "startTime" not in job["status"]:
            job["status"].update(startTime=now())
            self._make_pod(job)
        elif not phases or "Failed" in phases:
            self._fail(job)

    def _make_pod(self, job: Object) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        template = copy.deepcopy(job["spec"]["template"])
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "controller": True}
        metadata = {
            "name": f"{name}-{secrets.token_hex(3)[:5]}",
            "labels": {**template["metadata"].get("labels", {}), "job-name": name, "controller-uid": uid},
            "ownerReferences": [owner],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        self._store.create("pods", {**pod, "status": {"phase": "Pending"}})
        self._store.touch("jobs", job)

    def _fail(self, job: Object) -> None:
        why = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
        job["status"]["conditions"] = [{"type": "Failed", "status": "True", **why, "lastTransitionTime": now()}]
        rules.check("Job", "batch/v1", job)
        self._store.touch("jobs", job)

    def _schedule(self, pod: Object) -> None:
        if "nodeName" in pod["spec"] or pod["status"]["phase"] != "Pending":
            return
        why = self._knobs.unschedulable
        if why is None:
            pod["spec"]["nodeName"] = NODE
            condition = {"type": "PodScheduled", "status": "True"}
        else:
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
        if pod["status"].get("conditions") != [condition]:
            pod["status"]["conditions"] = [condition]
            rules.check("Pod", "v1", pod)
            self._store.touch("pods", pod)
