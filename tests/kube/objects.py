"""The objects of the cluster: created, changed, watched and deleted, with what they own."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from tests.kube import rules
from tests.kube.refusal import Refusal

Object = dict[str, Any]


class Resource(NamedTuple):
    group: str
    version: str
    plural: str
    kind: str

    @property
    def full_name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


RESOURCES = {
    resource.plural: resource
    for resource in (
        Resource("batch", "v1", "jobs", "Job"),
        Resource("", "v1", "pods", "Pod"),
        Resource("", "v1", "secrets", "Secret"),
        Resource("", "v1", "configmaps", "ConfigMap"),
        Resource("", "v1", "events", "Event"),
    )
}


class Change(NamedTuple):
    version: int
    kind: str
    plural: str
    object: Object


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """All objects, under one lock. The lock is also the condition on which readers wait for a change."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.history: list[Change] = []
        self._objects: dict[tuple[str, str, str], Object] = {}

    @property
    def version(self) -> int:
        return self.history[-1].version if self.history else 1

    def get(self, plural: str, namespace: str, name: str) -> Object:
        """The object itself, not a copy. To change it, hold the lock and call `touch` afterwards."""
        found = self._objects.get((plural, namespace, name))
        if found is None:
            raise Refusal(404, f'{RESOURCES[plural].full_name} "{name}" not found')
        return found

    def find(self, plural: str, namespace: str | None = None) -> list[Object]:
        """All objects of a resource, in the order of their names."""
        keys = sorted(self._objects)
        return [self._objects[key] for key in keys if key[0] == plural and namespace in (None, key[1])]

    def create(self, plural: str, namespace: str, body: Object) -> Object:
        resource = RESOURCES[plural]
        rules.check(resource.kind, resource.api_version, body)
        name = body["metadata"]["name"]
        if body["metadata"].get("namespace", namespace) != namespace:
            raise Refusal(400, "the namespace of the provided object does not match the namespace sent on the request")
        with self.changed:
            if (plural, namespace, name) in self._objects:
                raise Refusal(409, f'{resource.full_name} "{name}" already exists', "AlreadyExists")
            made = copy.deepcopy(body)
            own = {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
            made["metadata"].update(own)
            self._objects[plural, namespace, name] = made
            self._note("ADDED", plural, made)
            return made

    def change(self, plural: str, namespace: str, name: str, change: Callable[[Object], Object]) -> Object:
        """Replaces an object by `change(copy of the old one)`."""
        with self.changed:
            old = self.get(plural, namespace, name)
            new = change(copy.deepcopy(old))
            for key in ("name", "namespace", "uid", "creationTimestamp"):
                new["metadata"][key] = old["metadata"][key]
            rules.check(RESOURCES[plural].kind, RESOURCES[plural].api_version, new)
            rules.check_change(RESOURCES[plural].kind, old, new)
            old.clear()
            old.update(new)
            self.touch(plural, old)
            return old

    def touch(self, plural: str, changed: Object) -> None:
        self._note("MODIFIED", plural, changed)

    def delete(self, plural: str, namespace: str, name: str) -> Object:
        """Deletes an object. A pod on a node is only marked, until the node has ended it."""
        with self.changed:
            found = self.get(plural, namespace, name)
            metadata = found["metadata"]
            if plural == "pods" and found.get("spec", {}).get("nodeName"):
                metadata.setdefault("deletionTimestamp", now())
                metadata["deletionGracePeriodSeconds"] = found["spec"].get("terminationGracePeriodSeconds", 30)
                self.touch(plural, found)
            else:
                self.remove(plural, found)
            return found

    def remove(self, plural: str, gone: Object) -> None:
        """Removes an object at once, whatever it owns."""
        metadata = gone["metadata"]
        if self._objects.pop((plural, metadata["namespace"], metadata["name"]), None) is not None:
            self._note("DELETED", plural, gone)

    def owned(self, owner: Object) -> list[tuple[str, Object]]:
        """Resource and object of everything that the object owns."""
        uid = owner["metadata"]["uid"]
        return [(key[0], one) for key, one in sorted(self._objects.items()) if uid in _owners(one)]

    def collect_garbage(self) -> None:
        """Deletes objects whose owner is gone."""
        with self.changed:
            living = {one["metadata"]["uid"] for one in self._objects.values()}
            for (plural, namespace, name), one in list(self._objects.items()):
                owners = _owners(one)
                if owners and not owners & living and "deletionTimestamp" not in one["metadata"]:
                    self.delete(plural, namespace, name)

    def changes(self, plural: str, namespace: str, since: int, ended: Callable[[], bool]) -> Iterator[Change]:
        """Changes from a version on. Waits for new ones until `ended` returns True."""
        at = since
        while not ended():
            with self.changed:
                if self.version == at:
                    self.changed.wait(0.1)
                news = [change for change in self.history if change.version > at]
                at = self.version
            for change in news:
                if change.plural == plural and change.object["metadata"]["namespace"] == namespace:
                    yield change

    def _note(self, kind: str, plural: str, changed: Object) -> None:
        with self.changed:
            version = self.version + 1
            changed["metadata"]["resourceVersion"] = str(version)
            self.history.append(Change(version, kind, plural, copy.deepcopy(changed)))
            self.changed.notify_all()


def _owners(thing: Object) -> set[str]:
    return {owner["uid"] for owner in thing["metadata"].get("ownerReferences", ())}
