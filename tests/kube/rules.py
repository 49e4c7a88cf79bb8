"""What the API accepts: the schemas that Kubernetes publishes, and the further rules that matter here.

It is stricter than a real API, which drops unknown fields: a misspelt field must fail a test.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import kubernetes_validate

from tests.kube.refusal import Refusal

VERSION = kubernetes_validate.latest_version()

MAX_DATA, MAX_OBJECT = 1 << 20, 3 << 19
"""Limits in bytes: the data of a Secret or ConfigMap, and a whole object."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PULL = ("Always", "IfNotPresent", "Never", None)


def check(kind: str, api_version: str, body: Any) -> None:
    """Raises Refusal if an object cannot be created."""
    if not isinstance(body, dict) or (body.get("kind"), body.get("apiVersion")) != (kind, api_version):
        raise Refusal(400, f"the object provided is unrecognized (must be of type {kind})")
    try:
        kubernetes_validate.validate(body, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise Refusal(400, f"{kind} in version {api_version} cannot be handled: {error.message}") from None
    metadata = body["metadata"]
    if not _NAME.fullmatch(metadata.get("name", "")):
        raise _invalid(kind, body, "metadata.name: Invalid value: a lowercase RFC 1123 subdomain is needed")
    for value in metadata.get("labels", {}).values():
        if not _LABEL.fullmatch(value):
            raise _invalid(kind, body, f'metadata.labels: Invalid value: "{value}": a valid label is needed')
    if len(json.dumps(body)) > MAX_OBJECT:
        raise Refusal(500, "etcdserver: request is too large")
    if kind in ("Secret", "ConfigMap"):
        _check_data(kind, body)
    if kind == "Job":
        _check_template(body)


def check_change(kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises Refusal if a change is not allowed."""
    if old.get("immutable") and any(old.get(key) != new.get(key) for key in ("data", "binaryData", "immutable")):
        raise _invalid(kind, new, "data: Forbidden: field is immutable when `immutable` is set")
    if kind == "Job" and old["spec"]["template"] != new["spec"]["template"]:
        raise _invalid(kind, new, "spec.template: Invalid value: field is immutable")


def _check_data(kind: str, body: dict[str, Any]) -> None:
    size = sum(len(text) for text in body.get("data", {}).values()) if kind == "ConfigMap" else 0
    for key in ("data", "binaryData") if kind == "Secret" else ("binaryData",):
        for text in body.get(key, {}).values():
            try:
                size += len(base64.b64decode(text, validate=True))
            except binascii.Error:
                raise Refusal(400, f"{kind} in version v1 cannot be handled: illegal base64 data") from None
    if size > MAX_DATA:
        raise _invalid(kind, body, f"data: Too long: may not be more than {MAX_DATA} bytes")


def _check_template(body: dict[str, Any]) -> None:
    spec = body["spec"]["template"]["spec"]
    if spec.get("restartPolicy") not in ("OnFailure", "Never"):
        raise _invalid(
            "Job", body, 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
        )
    volumes = {volume["name"] for volume in spec.get("volumes", ())}
    for number, container in enumerate(spec["containers"]):
        at = f"spec.template.spec.containers[{number}]"
        if not container.get("image", "").strip():
            raise _invalid("Job", body, f"{at}.image: Required value")
        if container.get("imagePullPolicy") not in _PULL:
            raise _invalid("Job", body, f"{at}.imagePullPolicy: Unsupported value")
        paths = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                raise _invalid("Job", body, f'{at}.volumeMounts: Not found: "{mount["name"]}"')
        if len(set(paths)) != len(paths):
            raise _invalid("Job", body, f"{at}.volumeMounts: Invalid value: must be unique")


def _invalid(kind: str, body: dict[str, Any], what: str) -> Refusal:
    group = ".batch" if kind == "Job" else ""
    return Refusal(422, f'{kind}{group} "{body["metadata"].get("name")}" is invalid: {what}')
