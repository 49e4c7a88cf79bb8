from __future__ import annotations

import pytest

from medusa.protocol.errors import HandshakeError
from medusa.protocol.raw.greeting import (
    MAX_LINE,
    Framed,
    LineReader,
    Plain,
    SpokeHttp,
    build_accepted,
    build_framed,
    build_refusal,
    check_answer,
    is_greeting,
    parse_greeting,
    parse_token,
)
from tests.frames import cut

SIGNED = "/alice/medusa/attach/a%2Fb/slave?algorithm=RSA-SHA256&signature=x%3D"
LEG = "0123456789abcdef" * 2
WRONG_WORDS = (
    b"features=",
    b"features=A",
    b"join=0",
    b"join=1 join=1",
    b"join=1  features=a",
    b"join=1 ",
    b"join",
    b"leg=" + LEG[1:].encode(),
    b"leg=" + LEG.upper().encode(),
    b"about=" + bytes(1025).replace(b"\0", b"x"),
    b"more=1",
)


def framed(*fields: tuple[str, str]) -> Framed:
    return Framed("/attach/x/slave", "h:1", fields)


def line_of(*chunks: bytes) -> tuple[bytes, bytes] | None:
    reader, found = LineReader(), None
    for at, chunk in enumerate(chunks):
        found = reader.feed(chunk)
        if found:
            return found[0], found[1] + b"".join(chunks[at + 1 :])
    return found


class TestLines:
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    def test_a_line_however_it_is_cut(self, end: bytes) -> None:
        data = b"MEDUSA/1 / h" + end + b"rest\nand more"
        for step in (1, 3, len(data)):
            assert line_of(*cut(data, step)) == (b"MEDUSA/1 / h", b"rest\nand more")

    def test_a_typed_line_ends_with_cr(self) -> None:
        for data in (b"ATTACH x client\r", b"ATTACH x client\r\nrest", b"ATTACH x client\rrest\n"):
            for step in (1, 3, len(data)):
                assert line_of(*cut(data, step)) == (b"ATTACH x client", data[16:])
        assert line_of(b"MEDUSA/1\r") is None

    def test_a_line_that_is_not_whole(self) -> None:
        reader = LineReader()
        assert reader.empty
        assert reader.feed(b"ATTACH") is None
        assert not reader.empty

    @pytest.mark.parametrize("end", [b"\n", b""])
    def test_the_longest_line(self, end: bytes) -> None:
        found = line_of(bytes(MAX_LINE), b"\n")
        assert found == (bytes(MAX_LINE), b"")
        with pytest.raises(HandshakeError, match="first line above 8192 bytes"):
            line_of(bytes(MAX_LINE + 1) + end)

    def test_tls_is_known_by_its_first_byte(self) -> None:
        with pytest.raises(HandshakeError, match="TLS is not spoken"):
            line_of(b"\x16")


@pytest.mark.parametrize(
    ("line", "greeting"),
    [
        (b"MEDUSA/1 /attach/x/slave h:1", Framed("/attach/x/slave", "h:1")),
        (b"MEDUSA/1 " + SIGNED.encode() + b" [::1]:7", Framed(SIGNED, "[::1]:7")),
        (b"MEDUSA/1 /attach/x/slave h:1 features=notice,b-2", framed(("Medusa-Features", "notice,b-2"))),
        (
            b"MEDUSA/1 /attach/x/slave h:1 about=name=a+b&host=%2f leg=" + LEG.encode() + b" join=1",
            framed(("Medusa-About", "name=a+b&host=%2f"), ("Medusa-Leg", LEG), ("Medusa-Join", "1")),
        ),
        (b"ATTACH x client", Plain("x", "master", "")),
        (b"ATTACH a/b agent", Plain("a/b", "slave", "")),
        (b"ATTACH x agent tcp://h:1/y?z", Plain("x", "slave", "tcp://h:1/y?z")),
    ],
)
def test_greetings(line: bytes, greeting: Framed | Plain) -> None:
    assert parse_greeting(line) == greeting
    assert is_greeting(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not a greeting; say MEDUSA/1 TARGET HOST, or ATTACH ID client|agent"),
        (b"hello", "not a greeting"),
        (b"MEDUSA/2 /attach/x/slave h", "version 1 is spoken here"),
        (b"MEDUSA/1 attach/x/slave h", "not a greeting"),
        (b"MEDUSA/1 /attach/x/slave", "not a greeting"),
        (b"MEDUSA/1 /attach/x/slave h h", "not a greeting"),
        (b"MEDUSA/1  /attach/x/slave h", "not a greeting"),
        *((b"MEDUSA/1 /attach/x/slave h " + words, "not a greeting") for words in WRONG_WORDS),
        (b"MEDUSA/1 /attach/\xc3\xa9/slave h", "not a greeting"),
        (b"ATTACH x", "not a greeting"),
        (b"ATTACH x master", "not a greeting"),
        (b"ATTACH x client ", "not a greeting"),
        (b"ATTACH x client y z", "not a greeting"),
        (b"ATTACH x\0 client", "not a greeting"),
        (b"attach x client", "not a greeting"),
        (b"GET / HTTP/1.1", "this is the raw port, and HTTP is not spoken here"),
        (b"POST /x HTTP/2.0", "HTTP is not spoken here"),
    ],
)
def test_other_first_lines_are_refused(line: bytes, words: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_greeting(line)
    assert words in str(caught.value)
    assert caught.value.http_status == 400
    assert isinstance(caught.value, SpokeHttp) is (b"HTTP" in line)


def test_a_greeting_is_recognised_by_its_first_bytes() -> None:
    assert is_greeting(b"ATTACH ")
    assert not is_greeting(b"ATTACH")
    assert not is_greeting(b"GET /attach/x/slave HTTP/1.1")


@pytest.mark.parametrize("token", [f"https://h:8/{SIGNED[1:]}", f"h:8{SIGNED}", f"tcp://h:8{SIGNED}"])
def test_a_token_is_a_url_with_or_without_its_scheme(token: str) -> None:
    assert parse_token(token) == Framed(SIGNED, "h:8")


@pytest.mark.parametrize("token", ["", "x", "/x", "https:///x"])
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(HandshakeError, match="not a pre-signed URL"):
        parse_token(token)


def test_a_built_greeting_is_parsed() -> None:
    assert build_framed(SIGNED, "h:1") == b"MEDUSA/1 " + SIGNED.encode() + b" h:1\n"
    assert parse_greeting(build_framed(SIGNED, "h:1").strip()) == Framed(SIGNED, "h:1")
    fields = (("Medusa-Join", "1"), ("Medusa-Features", "a,b"))
    built = build_framed("/x", "h", [("Date", "now"), *fields])
    assert parse_greeting(built.strip()) == Framed("/x", "h", fields)


class TestCheckAnswer:
    def test_an_acceptance(self) -> None:
        assert check_answer(b"OK") == ()

    def test_an_acceptance_with_words(self) -> None:
        fields = (("Medusa-Ticket", "1.a-b_c"), ("Medusa-Hold", "60"))
        assert build_accepted([*fields, ("Date", "now")]) == b"OK ticket=1.a-b_c hold=60\n"
        assert check_answer(b"OK ticket=1.a-b_c later=x hold=60 hold=-1") == fields

    @pytest.mark.parametrize("code", [404, 1000])
    def test_a_refusal(self, code: int) -> None:
        line = build_refusal(code, "there is\nno such session")
        assert line == b"ERR %d there is\\x0ano such session\n" % code
        with pytest.raises(HandshakeError, match="there is") as caught:
            check_answer(line.strip())
        assert caught.value.http_status == code

    def test_a_refusal_without_a_reason(self) -> None:
        assert build_refusal(400, "") == b"ERR 400 no reason given\n"

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (b"HTTP/1.1 400 Bad Request", "HTTP is spoken there"),
            (b"SSH-2.0-x\x1b[2J", r"it answered SSH-2.0-x\x1b[2J"),
            (b"", "an empty line"),
            (b"OK waiting", "it answered OK waiting"),
            (b"ERR 4 x", "it answered"),
        ],
    )
    def test_anything_else(self, line: bytes, words: str) -> None:
        with pytest.raises(HandshakeError) as caught:
            check_answer(line)
        assert words in str(caught.value)
        assert caught.value.http_status == (400 if b"HTTP" in line else 502)
