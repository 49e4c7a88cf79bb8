from __future__ import annotations

import json
from typing import Any, cast

import pytest

from medusa.reflector.admin.lists.cursor import Cursor
from medusa.reflector.admin.lists.list_answer import BEYOND, list_answer, list_json
from medusa.reflector.admin.lists.pages import Entry, Query
from medusa.reflector.admin.lists.session_list import Page, SessionList
from tests.unit.reflector.admin.lists.test_cursor import get


class Sessions:
    """Stands for the session list. Its list has two pages."""

    def __init__(self, missing: str = "") -> None:
        self.asked: list[Query] = []
        self.missing = missing

    def page(self, query: Query, cursor: Cursor) -> Page:
        self.asked.append(query)
        entries = [{"id": "1"}, {"id": "2"}] if cursor.after == "" else [{"id": "3"}]
        return Page(list[Entry](entries), Cursor("/2") if cursor.after == "" else None, self.missing)


def answer(sessions: Sessions, query: str, login: str | None = None) -> dict[str, Any]:
    status, _, body = list_answer(cast("SessionList", sessions), get("/sessions" + query), login, _shown)
    assert (status, body[-1:]) == (200, b"\n")
    found: dict[str, Any] = json.loads(body)
    return found


def _shown(entry: Entry) -> Entry | None:
    return None if entry["id"] == "2" else entry


def test_pages_follow_the_cursor() -> None:
    first = answer(Sessions(), "?limit=2")
    assert first == {"sessions": [{"id": "1"}], "next": str(Cursor("/2"))}
    assert answer(Sessions(), f"?limit=2&cursor={first['next']}") == {"sessions": [{"id": "3"}]}


@pytest.mark.parametrize(("missing", "told"), [("", BEYOND), ("the directory is away", "the directory is away")])
def test_a_program_that_asks_for_no_pages(missing: str, told: str) -> None:
    assert answer(Sessions(missing), "") == {"sessions": [{"id": "1"}], "missing": told}


def test_a_login_of_the_path_counts() -> None:
    sessions = Sessions()
    answer(sessions, "?login=bob&limit=5", "alice")
    answer(sessions, "?login=bob&limit=5")
    assert [query.login for query in sessions.asked] == ["alice", "bob"]


@pytest.mark.parametrize("count", [0, 1, 250, 251, 1000])
def test_a_long_list_is_one_list(count: int) -> None:
    entries: list[Entry] = [{"id": str(number), "é": [1.5]} for number in range(count)]
    assert json.loads(list_json(entries, {"next": "x"})[2]) == {"sessions": entries, "next": "x"}
