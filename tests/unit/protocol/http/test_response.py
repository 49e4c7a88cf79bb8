from __future__ import annotations

import pytest

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Headers
from medusa.protocol.http.response import MAX_INTERIM, MAX_RETRY_AFTER, ResponseReader, moved_to, retry_after
from tests.frames import cut

FINAL = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    "before", [b"", HINTS, CONTINUE, CONTINUE + HINTS + HINTS, b"HTTP/1.0 102 \r\n\r\n", HINTS * MAX_INTERIM]
)
def test_interim_responses_are_skipped(before: bytes, step: int) -> None:
    reader, found = ResponseReader(), None
    for piece in cut(before + FINAL + b"rest", step):
        if found is None:
            found = reader.feed(piece)
            rest = found[1] if found else b""
        else:
            rest += piece
    assert found is not None
    assert (found[0].status, found[0].headers.get("upgrade"), rest) == (101, "websocket", b"rest")


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    "data", [b"HTTP/1.0 200 Connection established\n\n", b"HTTP/1.1 200 x\nA: b\r\n\n", b"HTTP/1.1 200 x\r\nA: b\n\r\n"]
)
def test_lines_of_a_response_may_end_with_lf_alone(data: bytes, step: int) -> None:
    reader = ResponseReader()
    found = [reader.feed(piece) for piece in cut(data, step)]
    assert found[:-1] == [None] * (len(found) - 1)
    assert found[-1] is not None
    assert (found[-1][0].status, found[-1][1]) == (200, b"")


@pytest.mark.parametrize("data", [HINTS * (MAX_INTERIM + 1), HINTS + b"SSH-2.0-x\r\n\r\n", HINTS + b"x" * 20_000])
def test_interim_responses_are_bounded_and_only_http_follows(data: bytes) -> None:
    with pytest.raises(HandshakeError):
        ResponseReader().feed(data)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"retry-after": "5"}, 5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "9" * 5000}, MAX_RETRY_AFTER),
        ({}, 0),
        *(
            ({"retry-after": text}, 0)
            for text in ("", "-5", "5.5", "+5", "\u00b2", "soon", "Sun, 06 Nov 1994 08:49:37 GMT")
        ),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:47 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 10),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:27 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
        ({"retry-after": "Sun, 06 Nov 9994 08:49:27 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"}, MAX_RETRY_AFTER),
        ({"retry-after": "Sun, 99 Nov 1994 08:49:27 GMT", "date": "yesterday"}, 0),
        *(
            ({"retry-after": text}, 0)
            for text in (", Jan + , -", ",", "Jan 1-Jan-20", "1 Jan " + "9" * 5000 + " 1:2:3")
        ),
    ],
)
def test_how_long_a_refusal_asks_to_wait(fields: dict[str, str], seconds: float) -> None:
    assert retry_after(Headers(list(fields.items()))) == seconds


@pytest.mark.parametrize(
    ("status", "location", "shown"),
    [
        *((status, "https://other.example/a", "https://other.example/a") for status in (301, 302, 303, 307, 308)),
        (301, "https://u:word@other.example:8443/a?signature=secret#x", "https://other.example:8443/a"),
        (301, "/login?next=secret", "http://host:1/login"),
        (301, "//other.example/a", "http://other.example/a"),
        (301, "wss://other.example", "wss://other.example"),
        (301, "https://other.example/\u202e\x9b", "https://other.example/\\u202e\\x9b"),
        (301, "https://other.example/" + "a" * 5000, "https://other.example/" + "a" * 178 + "..."),
        *(
            (301, location, None)
            for location in (None, "", "javascript:alert(1)", "https://", "http://[::1", "mailto:a@b")
        ),
        (200, "https://other.example/a", None),
        (404, "https://other.example/a", None),
    ],
)
def test_where_a_redirect_leads(status: int, location: str | None, shown: str | None) -> None:
    assert moved_to(status, location, "http://host:1/attach/id/master?signature=secret") == shown
