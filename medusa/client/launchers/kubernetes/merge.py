"""A user's own wishes merged into an object."""

from __future__ import annotations

from typing import Any


def merged(base: Any, over: Any) -> Any:
    """`base` with what `over` says: mappings key by key, where null removes; lists of named things thing by thing.

    All else is replaced, lists without names too.
    """
    if isinstance(base, dict) and isinstance(over, dict):
        kept = {key: merged(base.get(key), value) for key, value in over.items() if value is not None}
        return {**{key: value for key, value in base.items() if key not in over}, **kept}
    if _named(base) and _named(over):
        mine, theirs = ({thing["name"]: thing for thing in things} for things in (base, over))
        return list({**mine, **{name: merged(mine.get(name), thing) for name, thing in theirs.items()}}.values())
    if isinstance(over, dict):
        return {key: merged(None, value) for key, value in over.items() if value is not None}
    return over


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(thing, dict) and "name" in thing for thing in value)
