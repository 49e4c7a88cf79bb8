"""Goes through all keys of a Redis, or of a Cluster, that begin with a prefix, a part at a time.

Commands read at most MAX_ENTRY bytes of a value, because another program may have stored a value of any size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from medusa.directory.redis_pool import is_wrong_type
from medusa.directory.seal import MAX_ENTRY

STEP = 500
"""About how many keys Redis looks at for one part. To read its answer takes a few milliseconds."""

LONG_STEP = 10_000
"""The same, if few keys are expected to match. Redis does nothing else for a few milliseconds."""

BATCH = 100
"""The number of keys whose values are read at the same time. To read them takes a few milliseconds."""

_CURSOR = re.compile(r"([^ ]*) ([0-9]{1,20})\Z", re.ASCII)


def scan(client: Any, prefix: bytes, cursor: str, step: int = STEP) -> tuple[list[bytes], str]:
    """Returns some keys that begin with `prefix`, and the cursor for the next call.

    Args:
        client: a client of redis-py.
        cursor: "" to begin. At the end, the returned text is "".
        step: about how many keys Redis looks at.
    """
    known = _CURSOR.match(cursor)
    name, at = (known[1], int(known[2])) if known is not None else ("", 0)
    if at >= 1 << 64:
        return [], ""
    options: dict[str, Any] = {"match": _literal(prefix) + b"*", "count": step}
    if not hasattr(client, "get_primaries"):  # one server
        at, keys = client.scan(at, **options)
        return keys, " %d" % at if at else ""
    servers = {server.name: server for server in client.get_primaries()}
    left = sorted(each for each in servers if each >= name)
    if not left:
        return [], ""
    if left[0] != name:
        at = 0
    cursors, keys = client.scan(at, target_nodes=servers[left[0]], **options)
    if at := cursors[left[0]]:
        return keys, "%s %d" % (left[0], at)
    return keys, "%s 0" % left[1] if left[1:] else ""


def values(client: Any, keys: Sequence[bytes]) -> list[bytes | None]:
    """Returns the first bytes of each key's value: b"" if there is no such key, None if its value is not a string."""
    answers = _asked(client, [("GETRANGE", key, 0, MAX_ENTRY) for key in keys])
    for answer in answers:
        if isinstance(answer, Exception) and not is_wrong_type(answer):
            raise answer
    return [answer if isinstance(answer, bytes) else None for answer in answers]


def exist(client: Any, keys: Sequence[bytes]) -> list[bool]:
    """Returns, for each of `keys`, whether there is such a key."""
    answers = _asked(client, [("EXISTS", key) for key in keys])
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [bool(answer) for answer in answers]


def _asked(client: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Returns the answers to `commands`. An answer is an exception if the command has failed."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    answers: list[Any] = pipeline.execute(raise_on_error=False)
    return answers


def _literal(text: bytes) -> bytes:
    r"""Returns a pattern for the command SCAN of Redis that matches only the text `text` itself."""
    return re.sub(rb"([\\*?\[\]^])", rb"\\\1", text)
