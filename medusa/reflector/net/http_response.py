"""The response that a route returns."""

from __future__ import annotations

import json

Answer = tuple[int, list[tuple[str, str]], bytes]
"""(HTTP status, header fields, body)."""


def json_answer(value: object) -> Answer:
    """Status 200, with `value` as one line of JSON."""
    return 200, [("Content-Type", "application/json")], json.dumps(value).encode() + b"\n"
