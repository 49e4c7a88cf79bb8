"""The bytes of an HTTP response."""

from __future__ import annotations

import pytest

from medusa.reflector.net.http_response import build_fields, build_head, status_line


def test_an_answer_says_how_long_it_is_and_that_it_is_the_last() -> None:
    head = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nAllow: GET\r\nConnection: close\r\n"
        b"Content-Length: 3\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    )
    fields = build_fields((404, [("Allow", "GET")], b"no\n"), 0.0)
    assert build_head(status_line(404), fields) == head


def test_a_routes_own_content_type_stays() -> None:
    fields = build_fields((200, [("Content-Type", "application/json")], b"{}"), 0.0)
    assert fields[:2] == [("Content-Type", "application/json"), ("Connection", "close")]


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb: c"])
def test_no_value_begins_another_line(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        build_head("200 OK", [("Allow", value)])
