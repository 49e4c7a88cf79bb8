"""The HTTP response that a route returns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

Answer = tuple[int, list[tuple[str, str]], bytes]
"""An HTTP response: the status, the header fields and the body."""


def json_answer(value: object) -> Answer:
    """Returns the answer with status 200 and `value` as one line of JSON."""
    return 200, [("Content-Type", "application/json")], json.dumps(value).encode() + b"\n"


def build_fields(answer: Answer, now: float) -> list[tuple[str, str]]:
    """Returns all header fields of an answer, after which the connection is closed.

    Args:
        now: the current time, in seconds since 1970.
    """
    _, headers, body = answer
    if not any(name == "Content-Type" for name, _ in headers):
        headers = [("Content-Type", "text/plain; charset=utf-8"), *headers]
    ending = [("Connection", "close"), ("Content-Length", str(len(body))), ("Date", formatdate(now, usegmt=True))]
    return [*headers, *ending]


def status_line(status: int) -> str:
    """Returns a status with its phrase, as `build_head` needs it."""
    return "%d %s" % (status, HTTPStatus(status).phrase)


def build_head(status: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Returns the head of an HTTP/1.1 response. `status`: the status with its phrase.

    Raises:
        ValueError: a line break in one of the texts would begin another line of the head.
    """
    lines = ["HTTP/1.1 " + status, *map(": ".join, headers)]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in the head of a response")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
