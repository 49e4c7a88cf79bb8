from __future__ import annotations

import pytest

from medusa.protocol.http.own_header import MAX_BYTES, MAX_FIELDS, checked, has_authorization, parse_field, parse_lines


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("X-Token: a b", ("X-Token", "a b")),
        ("cookie:a=1; b=2 ", ("cookie", "a=1; b=2")),
        ("Authorization: Basic eDp5", ("Authorization", "Basic eDp5")),
        ("X-Empty:", ("X-Empty", "")),
        ("X: https://h:1/?a", ("X", "https://h:1/?a")),
    ],
)
def test_a_field(text: str, field: tuple[str, str]) -> None:
    assert parse_field(text) == field


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        ": secret",
        "X : secret",
        " X: secret",
        "X\n: secret",
        "X: secret\r\nHost: evil",
        "X: secret\n",
        "X: secret\r",
        "X: secret\0",
        "X: secret\x1b[m",
        "X: secr\u00e9t",
        "X: \tsecret",
        "X: secret" + "x" * MAX_BYTES,
        *(
            f"{name}: secret"
            for name in (
                "Host",
                "date",
                "Connection",
                "UPGRADE",
                "Sec-WebSocket-Key",
                "sec-websocket-extensions",
                "Content-Length",
                "Transfer-Encoding",
                "Proxy-Authorization",
                "Medusa-Features",
                "Expect",
                "TE",
            )
        ),
    ],
)
def test_what_may_not_be_set_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"header|cannot be set|the value of") as caught:
        parse_field(text)
    assert "secret" not in str(caught.value)


def test_lines() -> None:
    assert parse_lines("# of the front\r\n\r\nA: 1\r\n\nB: 2") == [("A", "1"), ("B", "2")]
    with pytest.raises(ValueError, match="line 2: a header is of the form") as caught:
        parse_lines("A: 1\nsecret\n")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [[("A", "1"), ("a", "2")], [(f"A{n}", "") for n in range(MAX_FIELDS + 1)], [("A", "x" * 5000), ("B", "x" * 5000)]],
)
def test_bounds(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match=r"twice|more than"):
        checked(fields)
    assert checked(fields[:1]) == fields[:1]


def test_authorization() -> None:
    assert has_authorization([("A", "1"), ("authorization", "x")])
    assert not has_authorization([("A", "1")])
