from __future__ import annotations

from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.errors import HandshakeError
from medusa.protocol.session_id import MAX_ID, check_name, parse_id


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("8A7D3F2E-1111-4222-8333-944455556666", "8a7d3f2e-1111-4222-8333-944455556666"),
        ("%20a%09", "a"),
        ("%0a%0da%0b", "a"),
        ("a%2Fb%2fc", "a/b/c"),
        ("__proto__", "__proto__"),
        ("a.b", "a.b"),
        ("a..b", "a..b"),
        ("user@host:1+2", "user@host:1+2"),
        ("a%2Bb", "a+b"),
        ("x" * MAX_ID, "x" * MAX_ID),
        ("%41" * MAX_ID, "a" * MAX_ID),
    ],
)
def test_good_ids(raw: str, meant: str) -> None:
    assert parse_id(raw) == meant


@pytest.mark.parametrize(
    "raw",
    [
        *("", "%20", ".", "..", "-a", ".hidden", "a/", "%2F", "%2Fa", "a%2F", "a%2F%2Fb", "a%2F.%2Fb", "a%2F..%2Fb"),
        *("a b", "a%20b", "a%00", "%00", "a%0Ab", "%", "%4", "%4g", "a%", "%u0041", "%%41", "\x1b", "%1b[2J"),
        *("%C3", "%FF", "%ED%A0%80", "%C3%A9", "%F0%9F%98%80", "%E2%80%AE", "%E2%84%AA", "%C0%AE%C0%AE", "%252e"),
        *("a?b", "a#b", "a;b", "a\\b", "a'b", "<a>", "x" * (MAX_ID + 1), "x" * 10_000),
    ],
)
def test_bad_ids(raw: str) -> None:
    with pytest.raises(HandshakeError, match=r"^bad session id$") as caught:
        parse_id(raw)
    assert caught.value.http_status == 400


@given(st.text(st.characters(codec="utf-8"), max_size=300) | st.from_regex(r"[a-zA-Z0-9_./%-]{0,20}", fullmatch=True))
def test_an_id_is_safe_to_show_and_to_parse_again_or_refused(text: str) -> None:
    for raw in (text, quote(text, safe="")):
        session_id = accepted(raw)
        if session_id is not None:
            assert session_id.isascii()
            assert session_id.isprintable()
            assert session_id == session_id.lower()
            assert parse_id(quote(session_id, safe="")) == session_id
            assert not {"", ".", ".."} & set(session_id.split("/"))


def accepted(raw: str) -> str | None:
    try:
        return parse_id(raw)
    except HandshakeError:
        return None


@pytest.mark.parametrize("text", ["train", "5d3e", "a", "_x.Y-9", "n" * 64])
def test_a_name(text: str) -> None:
    assert check_name(text) == text


@pytest.mark.parametrize("text", ["", "n" * 65, "a b", "-t", ".x", "a/b", "ä", "a\n", "٣", str(UUID(int=5)).upper()])
def test_what_cannot_be_a_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"a name has|a session's id"):
        check_name(text)
