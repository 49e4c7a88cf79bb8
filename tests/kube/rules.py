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


def check(kind: str, api_version: str, body: Any) -> None:
    """Raises Refusal if an object cannot be created."""
    if not isinstance(body, dict) or (body.get("kind"), body.get("apiVersion")) != (kind, api_version):
        raise Refusal(400, f"the object provided is unrecognized (must be of type {kind})")
    try:
        kubernetes_validate.validate(body, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise Refusal(400, f"{kind} in version {api_version} cannot be handled: {error.message}") from None
    if not _NAME.fullmatch(body["metadata"].get("name", "")):
        raise _invalid(kind, "metadata.name: Invalid value: a lowercase RFC 1123 subdomain is needed")
    if len(json.dumps(body)) > MAX_OBJECT:
        raise Refusal(500, "etcdserver: request is too large")
    if kind in ("Secret", "ConfigMap"):
        _check_data(kind, {**body.get("binaryData", {}), **(body.get("data", {}) if kind == "Secret" else {})})
    if kind == "Job" and body["spec"]["template"]["spec"].get("restartPolicy") not in ("OnFailure", "Never"):
        raise _invalid(kind, "spec.template.spec.restartPolicy: Required value")


def check_change(kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises Refusal if a change is not allowed."""
    if old.get("immutable") and any(old.get(key) != new.get(key) for key in ("data", "binaryData", "immutable")):
        raise _invalid(kind, "data: Forbidden: field is immutable when `immutable` is set")


def _check_data(kind: str, data: dict[str, str]) -> None:
    try:
        size = sum(len(base64.b64decode(text, validate=True)) for text in data.values())
    except binascii.Error:
        raise Refusal(400, f"{kind} in version v1 cannot be handled: illegal base64 data") from None
    if size > MAX_DATA:
        raise _invalid(kind, f"data: Too long: may not be more than {MAX_DATA} bytes")


def _invalid(kind: str, what: str) -> Refusal:
    return Refusal(422, f"{kind} is invalid: {what}")
