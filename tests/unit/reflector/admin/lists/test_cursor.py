from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Request, parse_request
from medusa.reflector.admin.lists.cursor import Cursor, asked, mark
from medusa.reflector.admin.lists.pages import MAX_PAGE, Query

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.none() | TEXTS, TEXTS, st.lists(TEXTS.map(mark), max_size=3))
def test_a_cursor_comes_back(after: str | None, row: str, silent: list[str]) -> None:
    cursor = Cursor(after, row, tuple(silent))
    assert Cursor.read(str(cursor)) == cursor
    assert str(cursor).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text", ["x", "é", "W10", "WzEsMiwzXQ", "WyJcdWQ4MDAiLCIiLCIiXQ", "W1tdLCIiLCIiXQ", "W" * 8000]
)
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(HandshakeError, match="cursor"):
        Cursor.read(text)


def get(target: str, page: str | None = None) -> Request:
    field = "" if page is None else f"\r\nMedusa-Page: {page}"
    return parse_request(f"GET {target} HTTP/1.1\r\nHost: h{field}".encode())


def test_what_a_request_asks_for() -> None:
    assert asked(get("/sessions")) == (Query(), Cursor(), False)
    fields, wanted = "login=&id=a%2Fb&after=x&limit=7&cursor=&new=1", (Query("", "a/b", "x", 7), Cursor(), True)
    assert asked(get("/sessions?" + fields)) == asked(get("/sessions?limit=1", fields)) == wanted
    assert asked(get("/sessions?limit=999999999"))[0].limit == MAX_PAGE
    assert asked(get(f"/sessions?limit=1&cursor={Cursor('/9')}"))[1] == Cursor("/9")


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=", "limit=9999999999", "login=%20", "login=a/b"])
def test_a_request_that_is_malformed(query: str) -> None:
    with pytest.raises(HandshakeError, match="malformed"):
        asked(get("/sessions?" + query))
