from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from medusa.client.outcome import Failure
from medusa.client.queries.api import NoAnswer
from medusa.client.queries.joining import find_live
from medusa.client.queries.meaning import Place, find_here, meant

LOCAL: list[dict[str, Any]] = [
    {"id": "5d3e", "name": "train", "state": "linked", "reflector": "http://127.0.0.1:1", "job": "local job 7"},
    {"id": "5d4f", "name": None, "state": "linked", "reflector": "http://127.0.0.1:2"},
]
ENTRIES: list[dict[str, Any]] = [
    {"id": "77", "login": "alice", "name": "gpu", "state": "linked", "host": "n1", "job": "slurm 1"},
    {"id": "78", "login": "alice", "name": "gpu", "state": "linked", "agent": "192.0.2.1:5"},
    {"id": "79", "login": "alice", "name": "old", "state": "closing"},
    {"id": "80", "login": "alice", "name": "old", "state": "linked"},
    {"id": "9a", "login": "alice", "name": "90", "state": "linked"},
    {"id": "90", "login": "alice", "state": "linked"},
    {"id": "a1", "login": None, "state": "linked"},
    {"id": "b1", "login": "alice", "state": "held"},
    {"id": "b2", "login": "alice", "state": "waiting"},
    {"id": "c1", "login": "bob", "state": "linked"},
]
ALICE: Any = SimpleNamespace(login="alice")


class Api:
    name = "http://r"

    def __init__(self, account: Any = ALICE, *, refusal: int | None = None, missing: str = "") -> None:
        self.account, self._refusal, self._missing = account, refusal, missing

    def sessions(self, path: str) -> tuple[list[dict[str, Any]], str]:
        if self._refusal is not None and self.account is None:
            raise NoAnswer("http://r refuses", self._refusal)
        return [entry for entry in ENTRIES if path == "/sessions" or entry["login"] == "alice"], self._missing


def find(text: str, api: Any, **more: Any) -> Place:
    return find_live(text, LOCAL, api, **{"login": "alice", "find_account": lambda: ALICE, **more})


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("7", ["77", "78"]),
        ("77", ["77"]),
        ("gpu", ["77", "78"]),
        ("old", ["80"]),
        ("79", ["79"]),
        ("90", ["90"]),
        ("9", ["9a", "90"]),
        ("9A", ["9a"]),
        ("GPU", []),
        ("", []),
    ],
)
def test_what_a_text_may_mean(text: str, ids: list[str]) -> None:
    assert [entry["id"] for entry in meant(text, ENTRIES)] == ids


@pytest.mark.parametrize(
    ("text", "ids"), [("gpu", ["1", "2", "3"]), ("GPU", ["2"]), ("Gpu", ["3"]), ("gPU", []), ("2", ["2"]), ("", [])]
)
def test_a_name_whose_letters_ssh_has_made_small(text: str, ids: list[str]) -> None:
    entries = [{"id": "1", "name": "gpu"}, {"id": "2", "name": "GPU"}, {"id": "3", "name": "Gpu"}, {"id": "4"}]
    assert [entry["id"] for entry in meant(text, entries, any_case=True)] == ids
    found = find_here(text, [{**entry, "reflector": "u"} for entry in entries], any_case=True)
    assert (found and [found.session]) == (ids if len(ids) == 1 else None)


@pytest.mark.parametrize(("text", "session"), [("train", "5d3e"), ("5d3e", "5d3e"), ("5D4F", "5d4f"), ("5d", None)])
def test_a_session_of_this_machine_by_its_whole_id_or_its_name(text: str, session: str | None) -> None:
    found = find_here(text, LOCAL)
    assert (found and found.session) == session


def test_where_a_session_lives() -> None:
    assert find("5d3", None) == Place("5d3e", "http://127.0.0.1:1")
    assert find("5d3", Api()) == Place("5d3e", "http://127.0.0.1:1")
    assert find("77", Api()) == Place("77", None, ALICE)
    assert find("80", Api(None, refusal=403)) == Place("80", None, ALICE)
    assert find("80", Api(None)) == Place("80", None, ALICE), "the list has it, but the session needs a signature"
    assert find("a1", Api(None)) == Place("a1"), "it belongs to no account"


@pytest.mark.parametrize(
    ("text", "api", "why"),
    [
        (
            "5d",
            None,
            "`5d` means 2 sessions; give the id, or more of it:\n  5d3e  train  linked  local job 7\n  5d4f  -",
        ),
        ("gpu", Api(), "means 2 sessions; give the id, or more of it:\n  77  gpu  linked  slurm 1 on n1\n  78  gpu"),
        ("trian", None, "no session of mlogin on this machine has this name, or an id that begins so: trian; did you"),
        (
            "x",
            None,
            "for a session at a reflector: --reflector URL, or `reflector = URL` in the config file\n  `medusa ls`",
        ),
        ("x", Api(), "no session of alice at http://r has this name, or an id that begins so: x\n  `medusa ls` lists"),
        ("x", Api(missing="no answer"), "other reflectors' sessions are missing: no answer"),
        ("c1", Api(None), "no session at http://r has this name"),
        ("b1", Api(), "b1 cannot be joined: its agent waits for a first client"),
        ("b2", Api(), "b2 cannot be joined: its agent has not come yet"),
        ("x", Api(None, refusal=503), "`x` cannot be looked up\n  http://r refuses"),
    ],
)
def test_what_is_wrong(text: str, api: Any, why: str) -> None:
    with pytest.raises(Failure, match=re.escape(why)):
        find(text, api)
