"""Describes the objects that a session creates in the cluster, as JSON: a Job, a Secret, and ConfigMaps. No I/O.

The ConfigMaps are for an archive that is too large for the Secret. The Job contains no secrets: the agent's config is
in the Secret, which only the pod mounts.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from medusa.client.launchers.kubernetes.options import PodOptions

CONTAINER = "medusa"
GIVEN, MADE = "/run/medusa/given", "/run/medusa/made"
"""Directories in the container. GIVEN contains the agent's archive and config.

If the archive comes in parts, the container joins them to one file in MADE.
"""

INSTANCE = "app.kubernetes.io/instance"
"""The name of a label. Its value is the same on all objects of one session."""

MAX_PART = 1_000_000
"""Bytes of an archive, or of one part of it, in one object, at most.

Kubernetes allows 1 MiB of data in an object, and 1.5 MiB in a request.
"""

TTL_AFTER_FINISHED = 600
"""Seconds after which the cluster itself deletes a finished Job and the objects that the Job owns."""

TERMINATION_GRACE = 10
"""Seconds between SIGTERM and SIGKILL to a pod. The agent needs 3 s to end its processes, and then reports the end."""

_READABLE = 0o444
"""The mode of the mounted files. All users may read them, because the image may run as any user.

This is safe: no other container mounts the files.
"""

_AGENT = f"{GIVEN}/agent.sh"
_CONFIG = ["--config", f"{GIVEN}/config.json"]
_JOIN_PARTS = f'cat {GIVEN}/agent.sh.* >{MADE}/agent.sh && exec sh {MADE}/agent.sh "$@"'

Object = dict[str, Any]
"""An object of Kubernetes as the API represents it in JSON."""


def archive_parts(archive: bytes) -> list[bytes]:
    """Splits the agent's archive into parts, one for each ConfigMap.

    Returns [] if the whole archive fits into the Secret.
    """
    if len(archive) <= MAX_PART:
        return []
    return [archive[start : start + MAX_PART] for start in range(0, len(archive), MAX_PART)]


def part_names(name: str, count: int) -> list[str]:
    return [f"{name}-{number:02d}" for number in range(count)]


def secret(name: str, config: dict[str, object], archive: bytes | None) -> Object:
    """Returns the Secret of a session as JSON.

    Args:
        name: the name of the Secret.
        config: the content of the agent's config file.
        archive: the agent's archive; None if it is divided among ConfigMaps.
    """
    data = config_data(config)
    if archive is not None:
        data["agent.sh"] = base64.b64encode(archive).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(name, name), "type": "Opaque", "data": data}


def config_data(config: dict[str, object]) -> dict[str, str]:
    """Returns the agent's config in the form of a Secret's field `data`."""
    return {"config.json": base64.b64encode(json.dumps(config).encode()).decode()}


def config_maps(name: str, parts: list[bytes]) -> list[Object]:
    """Returns one ConfigMap for each part of the archive, in the same order."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(part_name, name),
            "immutable": True,
            "binaryData": {"part": base64.b64encode(part).decode()},
        }
        for part_name, part in zip(part_names(name, len(parts)), parts, strict=True)
    ]


def owned_by(job: Object) -> Object:
    """Returns a patch for another object, which makes `job` its owner. Then the cluster deletes both together."""
    metadata = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    return {"metadata": {"ownerReferences": [owner]}}


def job(name: str, options: PodOptions, parts: int) -> Object:
    """Returns the Job of a session as JSON.

    `parts`: the number of ConfigMaps that contain the archive; 0 if the Secret contains it.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(name, name, options.labels),
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": TTL_AFTER_FINISHED,
            "template": {
                "metadata": {"labels": {**options.labels, **_labels(name)}},
                "spec": merge(_pod(name, options, parts), options.overrides),
            },
        },
    }


def _pod(name: str, options: PodOptions, parts: int) -> Object:
    spec: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": TERMINATION_GRACE,
        "enableServiceLinks": False,
        "automountServiceAccountToken": options.service_account is not None,
        "containers": [_container(options, parts)],
        "volumes": _volumes(name, parts),
    }
    optional = {
        "activeDeadlineSeconds": options.seconds,
        "serviceAccountName": options.service_account,
        "nodeSelector": options.node_selector,
        "imagePullSecrets": [{"name": secret} for secret in options.pull_secrets],
    }
    return {**spec, **{key: value for key, value in optional.items() if value}}


def _container(options: PodOptions, parts: int) -> Object:
    mounts = [{"name": "medusa", "mountPath": GIVEN, "readOnly": True}]
    command = ["sh", _AGENT, *_CONFIG]
    if parts:
        mounts.append({"name": "medusa-made", "mountPath": MADE})
        command = ["sh", "-c", _JOIN_PARTS, "sh", *_CONFIG]
    container: Object = {
        "name": CONTAINER,
        "image": options.image,
        "command": command,
        "volumeMounts": mounts,
        # After an error the status then has the last lines of the log, for users who have no right to read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if options.environ:
        container["env"] = [{"name": name, "value": value} for name, value in options.environ.items()]
    if options.resources:
        container["resources"] = {"requests": options.resources, "limits": options.resources}
    return container


def _volumes(name: str, parts: int) -> list[Object]:
    sources: list[Object] = [{"secret": {"name": name}}]
    for number, part in enumerate(part_names(name, parts)):
        item = {"key": "part", "path": f"agent.sh.{number:02d}"}
        sources.append({"configMap": {"name": part, "items": [item]}})
    volumes: list[Object] = [{"name": "medusa", "projected": {"defaultMode": _READABLE, "sources": sources}}]
    return [*volumes, {"name": "medusa-made", "emptyDir": {}}] if parts else volumes


def _metadata(name: str, instance: str, labels: dict[str, str] | None = None) -> Object:
    return {"name": name, "labels": {**(labels or {}), **_labels(instance)}}


def _labels(instance: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "medusa", "app.kubernetes.io/managed-by": "mlogin", INSTANCE: instance}


def merge(base: Any, over: Any) -> Any:
    """Returns `base` with the user's changes `over`, which come from `--overrides`.

    Mappings are merged key by key, and null removes a key. Lists are merged item by item if every item has a `name`. In
    all other cases `over` replaces `base`.
    """
    if isinstance(base, dict) and isinstance(over, dict):
        kept = {key: merge(base.get(key), value) for key, value in over.items() if value is not None}
        return {**{key: value for key, value in base.items() if key not in over}, **kept}
    if _is_named_list(base) and _is_named_list(over):
        ours, theirs = ({item["name"]: item for item in items} for items in (base, over))
        return list({**ours, **{name: merge(ours.get(name), item) for name, item in theirs.items()}}.values())
    if isinstance(over, dict):
        return {key: merge(None, value) for key, value in over.items() if value is not None}
    return over


def _is_named_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value)
