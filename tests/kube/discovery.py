"""What a cluster says of itself: its version, and which resources it has."""

from __future__ import annotations

from tests.kube.objects import RESOURCES, Object


def _resource_list(group: str, group_version: str) -> Object:
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    found = [
        {"name": one.plural, "singularName": one.kind.lower(), "namespaced": True, "kind": one.kind, "verbs": verbs}
        for one in RESOURCES.values()
        if one.group == group
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}


_BATCH = {"groupVersion": "batch/v1", "version": "v1"}
DISCOVERY = {
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0", "platform": "linux/amd64"},
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "batch", "versions": [_BATCH], "preferredVersion": _BATCH}],
    },
    "/api/v1": _resource_list("", "v1"),
    "/apis/batch/v1": _resource_list("batch", "batch/v1"),
}
