"""The HTTP response that a route returns."""

from __future__ import annotations

import json

Answer = tuple[int, list[tuple[str, str]], bytes]
"""An HTTP response: the status, the header fields and the body."""


def json_answer(value: object) -> Answer:
    """Returns the answer with status 200 and `value` as one line of JSON."""
    return 200, [("Content-Type", "application/json")], json.dumps(value).encode() + b"\n"
