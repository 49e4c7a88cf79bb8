"""The cluster's events about its objects."""

from __future__ import annotations

import uuid
from typing import Any

from tests.kube.objects import Object, Store, now


class Events:
    """Creates an Event for everything that happens to an object; counts what happens again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, about: Object, reason: str, message: str, kind: str = "Normal") -> None:
        with self._store.changed:
            for event in self._store.find("events", about["metadata"]["namespace"]):
                same = (event["involvedObject"]["uid"], event["reason"], event["message"])
                if same == (about["metadata"]["uid"], reason, message):
                    if event["lastTimestamp"] != now():
                        event["count"] += 1
                        event["lastTimestamp"] = now()
                        self._store.touch("events", event)
                    return
            self._store.create("events", about["metadata"]["namespace"], _event(about, reason, message, kind))


def _event(about: Object, reason: str, message: str, kind: str) -> dict[str, Any]:
    metadata = about["metadata"]
    name = f"{metadata['name']}.{uuid.uuid4().hex[:16]}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "reason": reason,
        "message": message,
        "type": kind,
        "count": 1,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "source": {"component": "stand-in"},
    }
