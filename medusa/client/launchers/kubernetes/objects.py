"""What is put into the cluster: a Job, a Secret, and ConfigMaps for an archive that the Secret has no room for.

Nothing secret is in the Job: the agent's config is in the Secret, which is mounted where only its pod sees it.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from medusa.client.launchers.kubernetes.merge import merged
from medusa.client.launchers.kubernetes.options import Wanted

CONTAINER = "medusa"
GIVEN, MADE = "/run/medusa/given", "/run/medusa/made"
"""Where the container finds its agent and config, and where an agent in parts is put together."""

INSTANCE = "app.kubernetes.io/instance"
"""The label by which all that belongs to one session is found."""

ROOM = 1_000_000
"""Bytes of an archive, or of a part of one, in one object. An object's data may have 1 MiB, a request 1.5 MiB."""

LINGER = 600
"""Seconds that a finished Job stays, with what belongs to it, where nobody deletes it."""

GRACE = 10
"""Seconds from SIGTERM to SIGKILL: the agent gives its own processes 3, and must tell the session's end."""

_READABLE = 0o444
"""The container's user may be any, and no other container has the mount."""

_AGENT = f"{GIVEN}/agent.sh"
_CONFIG = ["--config", f"{GIVEN}/config.json"]
_PUT_TOGETHER = f'cat {GIVEN}/agent.sh.* >{MADE}/agent.sh && exec sh {MADE}/agent.sh "$@"'

Object = dict[str, Any]
"""As the API has it in JSON."""


def parts(archive: bytes) -> list[bytes]:
    """The archive in pieces that have room in a ConfigMap each; none, where the Secret takes it whole."""
    if len(archive) <= ROOM:
        return []
    return [archive[start : start + ROOM] for start in range(0, len(archive), ROOM)]


def part_names(name: str, count: int) -> list[str]:
    return [f"{name}-{number:02d}" for number in range(count)]


def secret(name: str, config: dict[str, object], archive: bytes | None) -> Object:
    """Args: archive: None where it travels in parts."""
    data = config_data(config)
    if archive is not None:
        data["agent.sh"] = base64.b64encode(archive).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(name, name), "type": "Opaque", "data": data}


def config_data(config: dict[str, object]) -> dict[str, str]:
    """The agent's config, as a Secret's data."""
    return {"config.json": base64.b64encode(json.dumps(config).encode()).decode()}


def config_maps(name: str, pieces: list[bytes]) -> list[Object]:
    """One for each piece, in order."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(part, name),
            "immutable": True,
            "binaryData": {"part": base64.b64encode(piece).decode()},
        }
        for part, piece in zip(part_names(name, len(pieces)), pieces, strict=True)
    ]


def owned_by(job: Object) -> Object:
    """A patch: goes when the Job goes."""
    metadata = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    return {"metadata": {"ownerReferences": [owner]}}


def job(name: str, wanted: Wanted, pieces: int) -> Object:
    """Args: pieces: how many parts the archive travels in; 0 for whole, in the Secret."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(name, name, wanted.labels),
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": LINGER,
            "template": {
                "metadata": {"labels": {**wanted.labels, **_labels(name)}},
                "spec": merged(_pod(name, wanted, pieces), wanted.overrides),
            },
        },
    }


def _pod(name: str, wanted: Wanted, pieces: int) -> Object:
    spec: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE,
        "enableServiceLinks": False,
        "automountServiceAccountToken": wanted.service_account is not None,
        "containers": [_container(wanted, pieces)],
        "volumes": _volumes(name, pieces),
    }
    optional = {
        "activeDeadlineSeconds": wanted.seconds,
        "serviceAccountName": wanted.service_account,
        "nodeSelector": wanted.node_selector,
        "imagePullSecrets": [{"name": secret} for secret in wanted.pull_secrets],
    }
    return {**spec, **{key: value for key, value in optional.items() if value}}


def _container(wanted: Wanted, pieces: int) -> Object:
    mounts = [{"name": "medusa", "mountPath": GIVEN, "readOnly": True}]
    command = ["sh", _AGENT, *_CONFIG]
    if pieces:
        mounts.append({"name": "medusa-made", "mountPath": MADE})
        command = ["sh", "-c", _PUT_TOGETHER, "sh", *_CONFIG]
    container: Object = {
        "name": CONTAINER,
        "image": wanted.image,
        "command": command,
        "volumeMounts": mounts,
        # Who may not read logs sees the last lines in the pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if wanted.environ:
        container["env"] = [{"name": name, "value": value} for name, value in wanted.environ.items()]
    if wanted.resources:
        container["resources"] = {"requests": wanted.resources, "limits": wanted.resources}
    return container


def _volumes(name: str, pieces: int) -> list[Object]:
    sources: list[Object] = [{"secret": {"name": name}}]
    for number, part in enumerate(part_names(name, pieces)):
        item = {"key": "part", "path": f"agent.sh.{number:02d}"}
        sources.append({"configMap": {"name": part, "items": [item]}})
    volumes: list[Object] = [{"name": "medusa", "projected": {"defaultMode": _READABLE, "sources": sources}}]
    return [*volumes, {"name": "medusa-made", "emptyDir": {}}] if pieces else volumes


def _metadata(name: str, instance: str, labels: dict[str, str] | None = None) -> Object:
    return {"name": name, "labels": {**(labels or {}), **_labels(instance)}}


def _labels(instance: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "medusa", "app.kubernetes.io/managed-by": "mlogin", INSTANCE: instance}
