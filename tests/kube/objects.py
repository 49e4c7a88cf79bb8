"""The objects of the cluster's one namespace: created, changed, watched and deleted, with what they own."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from tests.kube import rules
from tests.kube.refusal import Refusal

NAMESPACE = "research"
Object = dict[str, Any]


class Resource(NamedTuple):
    group: str
    plural: str
    kind: str

    @property
    def full_name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1" if self.group else "v1"


RESOURCES = {
    resource.plural: resource
    for resource in (
        Resource("batch", "jobs", "Job"),
        Resource("", "pods", "Pod"),
        Resource("", "secrets", "Secret"),
        Resource("", "configmaps", "ConfigMap"),
        Resource("", "events", "Event"),
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
        self._objects: dict[tuple[str, str], Object] = {}

    @property
    def version(self) -> int:
        return self.history[-1].version if self.history else 1

    def get(self, plural: str, name: str) -> Object:
        """The object itself, not a copy. To change it, hold the lock and call `touch` afterwards."""
        found = self._objects.get((plural, name))
        if found is None:
            raise Refusal(404, f'{RESOURCES[plural].full_name} "{name}" not found')
        return found

    def find(self, plural: str) -> list[Object]:
        """All objects of a resource, in the order of their names."""
        return [self._objects[key] for key in sorted(self._objects) if key[0] == plural]

    def create(self, plural: str, body: Object) -> Object:
        resource = RESOURCES[plural]
        rules.check(resource.kind, resource.api_version, body)
        name = body["metadata"]["name"]
        with self.changed:
            if (plural, name) in self._objects:
                raise Refusal(409, f'{resource.full_name} "{name}" already exists')
            made = copy.deepcopy(body)
            made["metadata"].update(namespace=NAMESPACE, uid=str(uuid.uuid4()), creationTimestamp=now())
            self._objects[plural, name] = made
            self._note("ADDED", plural, made)
            return made

    def change(self, plural: str, name: str, change: Callable[[Object], Object]) -> Object:
        """Replaces an object by `change(copy of the old one)`."""
        with self.changed:
            old = self.get(plural, name)
            new = change(copy.deepcopy(old))
            rules.check(RESOURCES[plural].kind, RESOURCES[plural].api_version, new)
            rules.check_change(RESOURCES[plural].kind, old, new)
            old.clear()
            old.update(new)
            self.touch(plural, old)
            return old

    def touch(self, plural: str, changed: Object) -> None:
        self._note("MODIFIED", plural, changed)

    def delete(self, plural: str, name: str) -> Object:
        """Deletes an object. A pod on a node is only marked, until the node has ended it."""
        with self.changed:
            found = self.get(plural, name)
            metadata = found["metadata"]
            if plural == "pods" and found["spec"].get("nodeName"):
                metadata.setdefault("deletionTimestamp", now())
                metadata["deletionGracePeriodSeconds"] = found["spec"]["terminationGracePeriodSeconds"]
                self.touch(plural, found)
            else:
                self.remove(plural, found)
            return found

    def remove(self, plural: str, gone: Object) -> None:
        """Removes an object at once, whatever it owns."""
        if self._objects.pop((plural, gone["metadata"]["name"]), None) is not None:
            self._note("DELETED", plural, gone)

    def collect_garbage(self) -> None:
        """Deletes objects whose owner is gone."""
        with self.changed:
            living = {one["metadata"]["uid"] for one in self._objects.values()}
            for (plural, name), one in list(self._objects.items()):
                if owners(one) - living and "deletionTimestamp" not in one["metadata"]:
                    self.delete(plural, name)

    def changes(self, plural: str, since: int, ended: Callable[[], bool]) -> Iterator[Change]:
        """Changes from a version on. Waits for new ones until `ended` returns True."""
        at = since
        while not ended():
            with self.changed:
                if self.version == at:
                    self.changed.wait(0.1)
                news = [change for change in self.history if change.version > at]
                at = self.version
            yield from (change for change in news if change.plural == plural)

    def _note(self, kind: str, plural: str, changed: Object) -> None:
        with self.changed:
            version = self.version + 1
            changed["metadata"]["resourceVersion"] = str(version)
            self.history.append(Change(version, kind, plural, copy.deepcopy(changed)))
            self.changed.notify_all()


def owners(thing: Object) -> set[str]:
    """The uids of the objects that own this one."""
    return {owner["uid"] for owner in thing["metadata"].get("ownerReferences", ())}
