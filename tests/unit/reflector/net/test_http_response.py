"""The bytes of an HTTP response."""

from __future__ import annotations

import pytest

from medusa.reflector.net.http_response import build_answer, build_head


def test_an_answer_says_how_long_it_is_and_that_it_is_the_last() -> None:
    head = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nAllow: GET\r\nConnection: close\r\n"
        b"Content-Length: 3\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    )
    assert build_answer((404, [("Allow", "GET")], b"no\n"), 0.0) == head + b"no\n"
    assert build_answer((404, [("Allow", "GET")], b"no\n"), 0.0, without_body=True) == head


def test_a_routes_own_content_type_stays() -> None:
    answer = build_answer((200, [("Content-Type", "application/json")], b"{}"), 0.0)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb: c"])
def test_no_value_begins_another_line(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        build_head("200 OK", [("Allow", value)])
