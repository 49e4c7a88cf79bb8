"""Merge patches, and selectors of labels and fields."""

from __future__ import annotations

from typing import Any

from tests.kube.objects import Object


def merged(old: Any, sent: Any) -> Any:
    """A JSON merge patch (RFC 7386). A strategic merge patch would differ only for lists that are not empty."""
    if not isinstance(sent, dict):
        return sent
    old = old if isinstance(old, dict) else {}
    kept = {key: merged(old.get(key), value) for key, value in sent.items() if value is not None}
    return {**{key: value for key, value in old.items() if key not in sent}, **kept}


def selected(thing: Object, query: dict[str, str]) -> bool:
    labels = thing["metadata"].get("labels", {})
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = term.partition("=")
        if labels.get(key) != value.lstrip("="):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = term.partition("=")
        found: Any = thing
        for name in path.split("."):
            found = found.get(name, {})
        if found != value:
            return False
    return True
