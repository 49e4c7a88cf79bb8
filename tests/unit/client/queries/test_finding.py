from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from medusa.client.outcome import Failure
from medusa.client.queries.api import NoAnswer
from medusa.client.queries.finding import Found, find_session, matching

ENTRIES: list[dict[str, Any]] = [
    {"id": "5d3e", "login": None, "state": "held", "agent": "192.0.2.1:5"},
    {"id": "5d3f", "login": None, "state": "linked", "client": "192.0.2.2:6"},
    {"id": "5d", "login": "alice", "state": "held"},
    {"id": "5d77", "login": "alice", "name": "train"},
    {"id": "7", "login": "bob"},
]

ALICE: Any = SimpleNamespace(login="alice")


@pytest.mark.parametrize(
    ("text", "login", "ids"),
    [
        ("5d3", None, ["5d3e", "5d3f"]),
        ("5d3e", None, ["5d3e"]),
        ("5d", None, ["5d3e", "5d3f"]),
        ("5d", "alice", ["5d"]),
        ("5", "alice", ["5d", "5d77"]),
        ("5d3f", "alice", ["5d3f"]),
        ("7", None, ["7"]),
        ("6", None, []),
    ],
)
def test_whom_a_beginning_may_mean(text: str, login: str | None, ids: list[str]) -> None:
    assert [entry["id"] for entry in matching(text, ENTRIES, login)] == ids


class Api:
    """A reflector with ENTRIES. `refusal`: the status of the answer to a request without a signature."""

    name = "http://r"

    def __init__(self, account: Any = None, refusal: int | None = None, missing: str = "") -> None:
        self.account, self._refusal, self._missing = account, refusal, missing
        self.asked: list[str] = []

    def sessions(self, path: str) -> tuple[list[dict[str, Any]], str]:
        self.asked.append(path)
        if self.account is None and self._refusal is not None:
            raise NoAnswer("http://r refuses", self._refusal)
        login = path.split("/")[1] if self.account else None
        return [entry for entry in ENTRIES if login in (None, entry["login"])], self._missing


def find(text: str, api: Api, **more: Any) -> Found:
    more.setdefault("login", "alice")
    more.setdefault("find_account", lambda: ALICE)
    return find_session(text, api, **more)  # type: ignore[arg-type]


def test_an_account_asks_for_its_own_sessions() -> None:
    api = Api(ALICE)
    assert find("5d7", api) == Found("5d77", ALICE)
    assert api.asked == ["/alice/medusa/sessions"]


def test_a_signature_is_made_only_if_it_is_needed() -> None:
    api = Api()
    assert find("5d3e", api) == Found("5d3e", None)
    assert find("5d77", api) == Found("5d77", ALICE), "it belongs to the account"
    assert api.asked == ["/sessions"] * 2
    api = Api(refusal=403)
    assert find("5d7", api) == Found("5d77", ALICE)
    assert api.asked == ["/sessions", "/alice/medusa/sessions"]


@pytest.mark.parametrize(
    ("text", "api", "why"),
    [
        (
            "5d3",
            Api(),
            "2 sessions begin with `5d3`; give more of it:\n  5d3e  held  from 192.0.2.1:5\n  5d3f  linked  from",
        ),
        ("6", Api(), "no session at http://r has an id that begins with `6`, and no profile"),
        ("d5d77", Api(ALICE), "begins with `d5d77`, and no profile; did you mean 5d77?"),
        ("6", Api(ALICE), "no session of alice at http://r has"),
        ("6", Api(), "to wait for one that begins later: --session 6"),
        ("6", Api(missing="no answer"), "other reflectors' sessions are missing: no answer"),
        ("7", Api(), "the session 7 belongs to bob: sign as that account"),
        (
            "5d",
            Api(refusal=503),
            "`5d` are not known, and no profile\n  http://r refuses\n  a session with just this id is",
        ),
    ],
)
def test_what_is_wrong(text: str, api: Api, why: str) -> None:
    with pytest.raises(Failure, match=re.escape(why)):
        find(text, api, otherwise=", and no profile")


def test_a_name_is_what_medusa_exec_takes() -> None:
    with pytest.raises(
        Failure, match=r"(?s)no session .*\n  to run something in the session of this name: medusa exec train"
    ):
        find("train", Api(ALICE))


def test_without_an_account_nothing_is_signed() -> None:
    with pytest.raises(Failure, match="refuses"):
        find("5", Api(refusal=403), find_account=None)


def test_a_whole_id_need_not_be_listed() -> None:
    assert find("6", Api(), whole=True) == Found("6", None)
    assert find("6", Api(ALICE), whole=True) == Found("6", ALICE)
    assert find("6", Api(refusal=503), whole=True) == Found("6", None)
    assert find("5d77", Api(), whole=True) == Found("5d77", ALICE), "the account it belongs to"
    with pytest.raises(Failure, match="belongs to bob"):
        find("7", Api(), whole=True)
