"""Defines the type of an HTTP response, and builds the header fields and the head of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from email.utils import formatdate
from http import HTTPStatus

_CHUNK = 250
"""The number of entries in one piece of `json_chunks`."""

Answer = tuple[int, list[tuple[str, str]], bytes]
"""An HTTP response: the status, the header fields and the body."""


def json_answer(value: object) -> Answer:
    """Returns the HTTP response with status 200 and with `value` as one line of JSON."""
    return 200, [("Content-Type", "application/json")], json.dumps(value).encode() + b"\n"


def json_chunks(entries: Sequence[object]) -> Iterator[str]:
    """Yields the pieces of a JSON list. The caller may do something else between them: each takes a short time only."""
    yield "["
    for at in range(0, len(entries), _CHUNK):
        yield (", " if at else "") + json.dumps(entries[at : at + _CHUNK])[1:-1]
    yield "]"


def build_fields(answer: Answer, now: float) -> list[tuple[str, str]]:
    """Returns all header fields of the response `answer`: those it has, and those that every response has.

    One of these fields says that the connection is closed after the response.

    Args:
        now: the current time, in seconds since 1970, for the field Date.
    """
    _, headers, body = answer
    if not any(name == "Content-Type" for name, _ in headers):
        headers = [("Content-Type", "text/plain; charset=utf-8"), *headers]
    ending = [("Connection", "close"), ("Content-Length", str(len(body))), ("Date", formatdate(now, usegmt=True))]
    return [*headers, *ending]


def status_line(status: int) -> str:
    """Returns a status with its phrase, such as "200 OK"."""
    return "%d %s" % (status, HTTPStatus(status).phrase)


def build_head(status: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Returns the head of an HTTP/1.1 response. `status`: the status with its phrase, such as "200 OK".

    Raises:
        ValueError: `status` or one of `headers` contains a line break, which would begin another line of the head.
    """
    lines = ["HTTP/1.1 " + status, *map(": ".join, headers)]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in the head of a response")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
