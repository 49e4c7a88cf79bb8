"""The one node: mounts a pod's volumes, pulls its image, runs and ends its container, and sets its status."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

from tests.kube import rules
from tests.kube.container import Container
from tests.kube.knobs import Knobs
from tests.kube.objects import Object, Store, now
from tests.kube.refusal import Refusal

NODE = "node-1"


class Node:
    """One thread calls step(), and holds the store's lock."""

    def __init__(self, store: Store, knobs: Knobs, root: Path) -> None:
        self._store, self._knobs, self._root = store, knobs, root
        self._running: dict[str, Container] = {}
        self._ephemeral: dict[tuple[str, str], Container] = {}
        self._logs: dict[str, bytes] = {}
        self._ending: dict[str, Object] = {}

    def step(self) -> None:
        for pod in self._store.find("pods"):
            if pod["spec"].get("nodeName") == NODE:
                self._tend(pod)
        living = {pod["metadata"]["uid"] for pod in self._store.find("pods")}
        for uid, name in list(self._ephemeral):
            if uid not in self._running:
                self._ephemeral.pop((uid, name)).kill()
        for uid in self._running.keys() - living:  # deleted with no grace
            self._running.pop(uid).kill()

    def stop(self) -> None:
        for container in self._running.values():
            container.kill()
        for container in self._ephemeral.values():
            container.kill()
        self._running.clear()
        self._ephemeral.clear()

    def containers(self) -> list[str]:
        """The uids of pods whose containers run."""
        return sorted(self._running)

    def ephemeral(self, uid: str, name: str) -> Container | None:
        """An ephemeral container of a pod."""
        return self._ephemeral.get((uid, name))

    def log(self, uid: str, name: str = "") -> bytes | None:
        """The whole log of a pod, or of its ephemeral container `name`; None if it never ran."""
        container = self._ephemeral.get((uid, name)) or self._running.get(uid)
        return container.log() if container is not None else self._logs.get(uid)

    def end(self, pod: Object, status: Object, *, grace: float | None = None) -> None:
        """Ends a pod as a node does by its own decision. `status` is then in the pod's status."""
        with self._store.changed:
            uid = pod["metadata"]["uid"]
            self._ending[uid] = status
            if uid in self._running:
                self._running[uid].end(pod["spec"]["terminationGracePeriodSeconds"] if grace is None else grace)

    def _tend(self, pod: Object) -> None:
        uid, status = pod["metadata"]["uid"], pod["status"]
        if status["phase"] in ("Succeeded", "Failed"):
            if "deletionTimestamp" in pod["metadata"]:
                self._forget(pod)
        elif uid in self._running:
            self._watch(pod, self._running[uid])
            self._tend_ephemeral(pod)
        elif "deletionTimestamp" in pod["metadata"]:
            self._forget(pod)
        else:
            self._begin(pod)

    def _watch(self, pod: Object, container: Container) -> None:
        uid = pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            container.end(pod["metadata"]["deletionGracePeriodSeconds"])
        code = container.status()
        if code is None:
            return
        self._logs[uid] = self._running.pop(uid).log()
        container.kill()
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": container.begun}
        more = self._ending.pop(uid, {})
        ended = {**ended, "finishedAt": now(), **more.pop("terminated", {})}
        failed = bool(code) or "reason" in more
        self._set(pod, phase="Failed" if failed else "Succeeded", state={"terminated": ended}, **more)

    def _forget(self, pod: Object) -> None:
        self._ending.pop(pod["metadata"]["uid"], None)
        self._store.remove("pods", pod)

    def _begin(self, pod: Object) -> None:
        """Tries once to start a pod."""
        uid, container = pod["metadata"]["uid"], pod["spec"]["containers"][0]
        started = pod["status"].get("startTime", now())
        self._set(pod, startTime=started, state={"waiting": {"reason": "ContainerCreating"}})
        if self._knobs.pulling:
            self._note_pulling(pod, container["image"])
            return
        try:
            mounts = self._mounts(pod, container, self._root / uid)
        except Refusal:
            return  # an object is not there any more, and the pod will soon be deleted as well
        running = Container(pod, container, self._knobs.images[container["image"]], mounts, self._root / uid)
        self._running[uid] = running
        self._set(pod, phase="Running", state={"running": {"startedAt": running.begun}})

    def _note_pulling(self, pod: Object, image: str) -> None:
        about = {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}
        if any(event["involvedObject"]["uid"] == about["uid"] for event in self._store.find("events")):
            return
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{about['name']}.pulling"},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", **about},
            "reason": "Pulling",
            "message": f'Pulling image "{image}"',
            "type": "Normal",
            "lastTimestamp": now(),
        }
        self._store.create("events", event)

    def _tend_ephemeral(self, pod: Object) -> None:
        """Runs ephemeral containers. Unlike in a real cluster, they do not see the processes of their target."""
        uid, statuses = pod["metadata"]["uid"], []
        for added in pod["spec"].get("ephemeralContainers", ()):
            one = {"name": added["name"], "image": added["image"], "imageID": "", "restartCount": 0, "ready": False}
            container, image = self._ephemeral.get((uid, added["name"])), self._knobs.images.get(added["image"])
            if container is None and image is not None:
                directory = self._root / uid / added["name"]
                directory.mkdir()
                container = self._ephemeral[uid, added["name"]] = Container(pod, added, image, [], directory)
            statuses.append({**one, "state": _state(container)})
        if statuses:
            self._set(pod, ephemeralContainerStatuses=statuses)

    def _mounts(self, pod: Object, container: Object, directory: Path) -> list[tuple[Path, str, bool]]:
        """Source, mount point and read-only flag of each mount. Raises Refusal if an object does not exist."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        sources = {}
        for volume in pod["spec"].get("volumes", ()):
            sources[volume["name"]] = path = directory / volume["name"]
            path.mkdir()
            path.chmod(0o777)
            if "projected" in volume:
                self._project(volume["projected"], path)
        wanted = container.get("volumeMounts", ())
        return [(sources[one["name"]], one["mountPath"], one.get("readOnly", False)) for one in wanted]

    def _project(self, volume: Object, path: Path) -> None:
        for source in volume["sources"]:
            ((plural, wanted),) = ((f"{kind.lower()}s", wanted) for kind, wanted in source.items())
            found = self._store.get(plural, wanted["name"])
            files = {**found.get("data", {}), **found.get("binaryData", {})}
            names = {item["key"]: item["path"] for item in wanted.get("items", ())} or {key: key for key in files}
            for key, name in names.items():
                (path / name).write_bytes(base64.b64decode(files[key]))
                (path / name).chmod(volume.get("defaultMode", 0o644))
        path.chmod(0o755)

    def _set(self, pod: Object, *, state: dict[str, Any] | None = None, **status: Any) -> None:
        """Changes the pod's status. `state` is the container's; the others are fields of the status itself."""
        if state is not None:
            container = pod["spec"]["containers"][0]
            one = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0}
            status["containerStatuses"] = [{**one, "ready": "running" in state, "state": state}]
        if any(pod["status"].get(key) != value for key, value in status.items()):
            pod["status"].update(status)
            rules.check("Pod", "v1", pod)
            self._store.touch("pods", pod)


def _state(container: Container | None) -> dict[str, Any]:
    if container is None:
        return {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    code = container.status()
    if code is None:
        return {"running": {"startedAt": container.begun}}
    ended = {"exitCode": code, "reason": "Error" if code else "Completed"}
    return {"terminated": {**ended, "startedAt": container.begun, "finishedAt": container.begun}}
