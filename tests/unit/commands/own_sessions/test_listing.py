from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from medusa.client.queries.local import announced
from medusa.commands.own_sessions import listing
from tests.unit.commands.conftest import Complaint

ENTRY: dict[str, Any] = {
    "id": "9d1c2c54-5a8c-4c2f-9c27-2f0a1f7ee9a1",
    "name": "train",
    "login": "alice",
    "state": "linked",
    "created": 1.0,
    "age_s": 3725.0,
    "idle_s": 4.2,
    "idle": 3.1,
    "agent": "198.51.100.1:40001",
    "host": "gpu01.example.com",
    "job": "slurm 4711",
}


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("MEDUSA_REFLECTOR", raising=False)


def cells(entries: list[dict[str, Any]], width: int | None = 80) -> list[list[str]]:
    return [line.split() for line in listing.table(entries, width)]


def test_the_table() -> None:
    (names, row) = cells([{**ENTRY, "until": time.time() + 7260.5}])
    assert names == ["NAME", "ID", "PLACE", "STATE", "AGE", "IDLE", "LEFT"]
    assert row == ["train", "9d1c", "slurm", "4711", "on", "gpu01.example.com", "linked", "1h02m", "3s", "2h01m"]


def test_for_how_long_a_session_is_kept_is_shown_if_one_is() -> None:
    away = {**ENTRY, "state": "absent", "clients": 0, "held_until": time.time() + 600.5}
    names, row, other = cells([away, {**ENTRY, "id": "x"}])
    assert (names[-1], row[-1], other[-1]) == ("KEPT", "10m00s", "-")
    assert "absent" in row
    assert cells([{**ENTRY, "state": "held", "held_for": "detached", "held_until": None}])[1][-1] == "job"


@pytest.mark.parametrize(
    ("state", "ended", "words"),
    [
        ("held", "status 3", "ended, status 3"),
        ("held", None, "held"),
        ("absent", "status 3", "absent"),
        ("linked", "status 3", "linked"),
    ],
)
def test_a_command_that_has_ended_while_nobody_was_there(state: str, ended: str | None, words: str) -> None:
    row = listing.table([{**ENTRY, "state": state, "ended": ended}], 80)[1]
    assert f"  {words}  " in row


def test_an_older_reflector_tells_less() -> None:
    older = {"id": "9d1c2c54", "login": "alice", "state": "held", "idle_s": 4.2, "agent": "[2001:db8::1]:5"}
    assert cells([older, {"id": "x", "error": "no answer"}])[1:] == [
        ["-", "9d1c", "[2001:db8::1]", "held", "-", "4s", "-"],
        ["-", "x", "-", "unknown", "-", "-", "-"],
    ]
    assert cells([{"id": "y", "until": 5}])[1][-1] == "0s"


@pytest.mark.parametrize("name", ["n" * 64, "train"])
@pytest.mark.parametrize("job", ["slurm 4711_12345 of a partition with a long name", "j"])
@pytest.mark.parametrize("session", [ENTRY["id"], "x" * 255])
def test_it_fits_80_columns(name: str, job: str, session: str) -> None:
    entry = {**ENTRY, "name": name, "job": job, "age_s": 863999, "idle": 863999, "until": time.time() + 863999}
    lines = listing.table([{**entry, "id": session}, {**entry, "id": f"{session[:-1]}0"}], 80)
    assert max(map(len, lines)) <= 80
    assert [line.split()[-3:] for line in lines] == [["AGE", "IDLE", "LEFT"], *[["9d23h"] * 3] * 2]
    kept = listing.table([{**entry, "id": session, "held_until": entry["until"], "state": "absent"}], 80)
    assert max(map(len, kept)) <= 80
    whole = "".join(listing.table([{**entry, "id": session}], None))
    assert all(text in whole for text in (name, job, session))


def test_the_shortest_beginning_of_an_id_that_means_this_session_alone() -> None:
    ids = ["12345678", "12349", "123", "abcd-1", "abcd-12", "beefcafe"]
    entries: list[dict[str, Any]] = [{"id": session, "name": "beef"} for session in ids]
    assert listing.short_ids(entries) == ["12345", "12349", "123", "abcd-1", "abcd-12", "beefc"]


def test_a_reflector_cannot_write_to_the_terminal() -> None:
    assert "\x1b" not in "".join(listing.table([dict.fromkeys([*ENTRY, "id"], "\x1b[2J")], 200))


def test_no_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.main([]) == 0
    assert capsys.readouterr() == (
        "",
        "medusa ls: you have no sessions on this machine; for those at a reflector: --reflector URL\n",
    )
    assert listing.main(["--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_sessions_of_this_machine_are_shown_although_the_reflector_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    here = {"id": "5d3e0000", "name": "x", "state": "linked", "created": 1.0, "reflector": "http://127.0.0.1:1"}
    with announced(here):
        assert listing.main(["--reflector", "http://127.0.0.1:1", "--json"]) == 1
    out, err = capsys.readouterr()
    (entry,) = json.loads(out)
    assert entry["age_s"] > 1e9
    assert {key: entry[key] for key in here} == here
    assert err.startswith("medusa ls: http://127.0.0.1:1: ")


def test_raw_tcp_has_no_lists(complaint: Complaint) -> None:
    assert "tcp://h:1: raw TCP has no lists of sessions" in complaint(listing.main, ["--reflector", "tcp://h:1"], 1)


@pytest.mark.parametrize("arguments", [["x"], ["--reflector", "nonsense"], ["--jsno"]])
def test_usage(arguments: list[str], complaint: Complaint) -> None:
    assert "medusa ls" in complaint(listing.main, arguments, 2)
