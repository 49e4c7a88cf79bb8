from __future__ import annotations

import pytest

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import (
    MAX_HEAD,
    MAX_HEADERS,
    MAX_LINE,
    HeadReader,
    has_body,
    parse_request,
    parse_response,
)
from tests.frames import cut

# As the front door sends it.
FRONT_DOOR = (
    b"GET /attach/JOBID/master HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: lDyCX+bu/SVA+XvXx6k3dQ==\r\nHost: 127.0.0.1:21081"
)


def request(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join((first, b"Host: h", *lines))


def refusal(head: bytes) -> tuple[int, str]:
    with pytest.raises(HandshakeError) as caught:
        parse_request(head)
    return caught.value.http_status, str(caught.value)


def test_the_front_doors_request() -> None:
    parsed = parse_request(FRONT_DOOR)
    assert (parsed.method, parsed.target, parsed.version) == ("GET", "/attach/JOBID/master", "HTTP/1.1")
    assert parsed.headers.get("host") == "127.0.0.1:21081"
    assert parsed.headers.get("sec-websocket-key") == "lDyCX+bu/SVA+XvXx6k3dQ=="
    assert parsed.headers.get("sec-websocket-version") is None


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1000])
def test_a_head_is_found_however_it_is_cut(step: int) -> None:
    reader, found = HeadReader(), None
    assert reader.empty
    for chunk in cut(FRONT_DOOR + b"\r\n\r\n", step):
        assert found is None
        found = reader.feed(chunk)
    assert not reader.empty
    assert found == (FRONT_DOOR, b"")


def test_bytes_after_a_head_are_kept() -> None:
    assert HeadReader().feed(FRONT_DOOR + b"\r\n\r\n\x81\x80abcd\r\n\r\n") == (FRONT_DOOR, b"\x81\x80abcd\r\n\r\n")


@pytest.mark.parametrize("step", [1, 4096, 1 << 20])
def test_a_head_may_be_as_long_as_the_limit(step: int) -> None:
    def read(size: int, end: bytes = b"\r\n\r\n") -> tuple[bytes, bytes] | None:
        reader, found = HeadReader(), None
        for chunk in cut(b"x" * size + end, step):
            found = reader.feed(chunk)
        return found

    assert read(MAX_HEAD) == (b"x" * MAX_HEAD, b"")
    assert read(MAX_HEAD, b"\r\n\r") is None
    for end in (b"\r\n\r\n", b""):
        with pytest.raises(HandshakeError) as caught:
            read(MAX_HEAD + 1 + 3 * (not end), end)
        assert caught.value.http_status == 400


AMBIGUOUS = {
    "length and transfer-encoding": request(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "transfer-encoding and length": request(b"Transfer-Encoding: identity", b"Content-Length: 0"),
    "two lengths": request(b"Content-Length: 5", b"Content-Length: 6"),
    "the same length twice": request(b"Content-Length: 5", b"content-length: 5"),
    "a list of lengths": request(b"Content-Length: 5, 5"),
    **{f"length {text!r}": request(b"Content-Length: " + text) for text in (b"+5", b"-5", b"1_0", b"0x5", b"5.0", b"")},
    "length of other digits": request(b"Content-Length: \xb2"),
    "a length without end": request(b"Content-Length: " + b"1" * 19),
    "two transfer-encodings": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "NUL in a value": request(b"X: a\0b"),
    "NUL in a name": request(b"X\0: a"),
    "NUL in the target": request(first=b"GET /\0 HTTP/1.1"),
    "a bare CR in a value": request(b"X: a\rContent-Length: 5"),
    "a bare CR at the end": request(b"X: a\r"),
    "a bare LF in a value": request(b"X: a\nContent-Length: 5"),
    "a bare LF after the request line": b"GET / HTTP/1.1\nHost: h",
    "a control character": request(b"X: \x1b[31m"),
    "DEL": request(b"X: \x7f"),
    "no colon": request(b"Host h"),
    "no name": request(b": value"),
    "an empty line": request(b"", b"X: a"),
    "space before the colon": request(b"Content-Length : 5"),
    "tab before the colon": request(b"Content-Length\t: 5"),
    "space before the name": request(b" X: a"),
    "a folded line": request(b"X: a", b" b"),
    "a line folded by a tab": request(b"X: a", b"\tb: c"),
    "a name that is not ASCII": request("Ünder: a".encode()),
    "two keys": request(b"Sec-WebSocket-Key: a", b"Sec-WebSocket-Key: a"),
    "two versions": request(b"Sec-WebSocket-Version: 13", b"sec-websocket-version: 8"),
    "two hosts": request(b"host: other"),
    "no host": b"GET / HTTP/1.1",
    "an empty head": b"",
    "an empty first line": b"\r\nGET / HTTP/1.1\r\nHost: h",
    "one word": request(first=b"GET"),
    "HTTP/0.9": request(first=b"GET /"),
    "two spaces": request(first=b"GET  / HTTP/1.1"),
    "four words": request(first=b"GET / / HTTP/1.1"),
    "a space at the end": request(first=b"GET / HTTP/1.1 "),
    "a tab for a space": request(first=b"GET\t/ HTTP/1.1"),
    "HTTP/2": request(first=b"GET / HTTP/2.0"),
    "HTTP/1.2": request(first=b"GET / HTTP/1.2"),
    "small letters": request(first=b"GET / http/1.1"),
    "a method that is no token": request(first=b"G(T / HTTP/1.1"),
    "a target without a slash": request(first=b"GET attach HTTP/1.1"),
    "a URL of another scheme": request(first=b"GET ftp://h/ HTTP/1.1"),
    "a URL with a user": request(first=b"GET http://u@h/ HTTP/1.1"),
    "a URL without a host": request(first=b"GET http:///x HTTP/1.1"),
    "a URL with a fragment": request(first=b"GET http://h/x#y HTTP/1.1"),
    "a URL, and no Host header": b"GET http://h/ HTTP/1.1",
    "a target with a fragment": request(first=b"GET /x#y HTTP/1.1"),
    "a query with a fragment": request(first=b"GET /x?y#z HTTP/1.1"),
    "a target that is not ASCII": request(first="GET /ü HTTP/1.1".encode()),
}


@pytest.mark.parametrize("head", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    status, reason = refusal(head)
    assert status == 400
    assert reason.isprintable()


def test_bounds_of_lines_and_their_number() -> None:
    name = b"X: "
    assert parse_request(request(name + b"a" * (MAX_LINE - 3))).headers.get("x") == "a" * (MAX_LINE - 3)
    assert refusal(request(name + b"a" * (MAX_LINE - 2)))[0] == 400
    assert refusal(request(first=b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1"))[0] == 400
    assert len(parse_request(request(*[b"X: a"] * (MAX_HEADERS - 1))).headers.items) == MAX_HEADERS
    assert refusal(request(*[b"X: a"] * MAX_HEADERS))[0] == 400
    assert (MAX_HEAD, MAX_LINE, MAX_HEADERS) == (16384, 8192, 100)


def test_legal_heads_are_read() -> None:
    head = request(
        b"X-Empty:", b"X:a", b"x: \t b\t ", b"Accept: text/html, */*;q=0.8", b"Name: caf\xe9", b"Content-Length: 007"
    )
    headers = parse_request(head).headers
    assert headers.get("x-empty") == ""
    assert [value for key, value in headers.items if key == "x"] == ["a", "b"]
    assert headers.get("name") == "café"
    assert has_body(headers)
    assert parse_request(b"GET /healthz HTTP/1.0").version == "HTTP/1.0"
    target = "/attach/%2F..%2e?a=b&c=%00~!$'()*+,;=:@[]{}|\\^`\""
    assert parse_request(request(first=f"GET {target} HTTP/1.1".encode())).target == target


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://h:81/a%2fb?c=d", "h:81", "/a%2fb?c=d"),
        ("HTTPS://[::1]:8/", "[::1]:8", "/"),
        ("http://a.b-c_d", "a.b-c_d", "/"),
        ("http://h?q", "h", "/?q"),
    ],
)
def test_an_absolute_target_names_the_host(url: str, host: str, target: str) -> None:
    """RFC 9112 section 3.2.2."""
    parsed = parse_request(request(b"X: a", first=f"GET {url} HTTP/1.1".encode()))
    assert (parsed.target, parsed.headers.items) == (target, [("host", host), ("x", "a")])


def test_tokens_of_a_list_and_of_several_fields() -> None:
    headers = parse_request(request(b"Connection: keep-alive, Upgrade", b"connection: ,TE ,")).headers
    assert headers.tokens("connection") == ["keep-alive", "upgrade", "te"]
    assert headers.tokens("upgrade") == []


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ((), False),
        ((b"Content-Length: 0",), False),
        ((b"Content-Length: 1",), True),
        ((b"Transfer-Encoding: x",), True),
    ],
)
def test_whether_a_body_is_announced(lines: tuple[bytes, ...], body: bool) -> None:
    assert has_body(parse_request(request(*lines)).headers) is body


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 101 Switching Protocols", 101, "Switching Protocols"),
        (b"HTTP/1.0 200 OK", 200, "OK"),
        (b"HTTP/1.1 404 ", 404, ""),
        (b"HTTP/1.1 599", 599, ""),
    ],
)
def test_responses(line: bytes, status: int, reason: str) -> None:
    response = parse_response(line + b"\r\nServer: x\r\nDate: y")
    assert (response.status, response.reason, response.headers.get("server")) == (status, reason, "x")


@pytest.mark.parametrize(
    "lines",
    [
        (b"Date: a", b"Date: b"),
        (b"Server: a", b"server: b", b"Via: c", b"Via: d", b"Set-Cookie: e", b"Set-Cookie: f"),
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: x", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"),
        (b"Host: a", b"Host: b", b"Authorization: c", b"Authorization: d", b"Origin: e", b"Origin: f"),
    ],
)
def test_what_a_response_says_twice_is_no_error(lines: tuple[bytes, ...]) -> None:
    response = parse_response(b"\r\n".join((b"HTTP/1.1 101 x", *lines)))
    assert len(response.headers.items) == len(lines)


def test_a_folded_line_of_a_response_is_one_line() -> None:
    headers = parse_response(b"HTTP/1.1 200 x\r\nVia: a,\r\n\t b\r\nDate: c").headers
    assert (headers.tokens("via"), headers.get("date")) == (["a", "b"], "c")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 600 x",
        b"HTTP/2 200",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 200 \x1b[2J",
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: a\r\nSec-WebSocket-Accept: b",
    ],
)
def test_other_heads_are_no_response(head: bytes) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_response(head)
    assert caught.value.http_status == 502


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"GET / HTTP/1.1\r\nHost: h\n",
        b"GET / HTTP/1.1\r\nHost: h\n\r\n",
        b"GET / HTTP/1.1\rHost: h",
        b"\n",
        b"\r\n\n",
        b"\rx",
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_a_head_with_a_bare_line_end_is_refused_at_once(start: bytes, size: int) -> None:
    with pytest.raises(HandshakeError, match="does not end with CR LF"):
        _feed(HeadReader(), [start[at : at + size] for at in range(0, len(start), size)])


def _feed(reader: HeadReader, chunks: list[bytes]) -> None:
    for chunk in chunks:
        reader.feed(chunk)
