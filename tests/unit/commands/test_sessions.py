"""What people read; what is asked of a reflector is in tests/integration/test_sessions_command.py."""

from __future__ import annotations

import time

import pytest

from medusa.commands import sessions
from tests.unit.commands.conftest import Complaint

ENTRY = {
    "id": "4711",
    "login": "alice",
    "state": "linked",
    "owner": "http://127.0.0.1:8381",
    "age_s": 3725.0,
    "idle_s": 4.2,
    "client": "203.0.113.9:40000",
    "agent": "198.51.100.1:40001",
    "client_bytes": 112,
    "agent_bytes": 1636,
    "typed_bytes": 3,
    "shown_bytes": 1536,
}

SAID = {"name": "train", "host": "gpu01", "job": "slurm-4711", "until": 1.6e9, "legs": 2}


def test_the_table() -> None:
    short = {"id": "x", "login": None, "owner": "o"}
    rows = [line.split() for line in sessions.Table(200).lines([{**ENTRY, **SAID}, short])]
    assert " ".join(rows[0]) == "ID NAME LOGIN STATE AGE IDLE LEGS TYPED SHOWN CLIENT AGENT HOST JOB OWNER"
    assert rows[1][:9] == ["4711", "train", "alice", "linked", "1h02m", "4s", "2", "3B", "1.5K"]
    assert rows[1][11:13] == ["gpu01", "slurm-4711"]
    assert rows[2] == ["x", "-", "-", "unknown", *["-"] * 9, "o"]


def test_what_an_earlier_reflector_does_not_count() -> None:
    earlier = {key: value for key, value in ENTRY.items() if key not in ("typed_bytes", "shown_bytes")}
    assert sessions.Table(200).lines([earlier])[1].split()[7:9] == ["112B", "1.6K"]


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({}, "ID LOGIN STATE AGE IDLE TYPED SHOWN CLIENT"),
        ({"id": "9d1c2c54-5a8c-4c2f-9c27-2f0a1f7ee9a1"}, "ID LOGIN STATE AGE IDLE TYPED SHOWN"),
        ({"id": "9d1c2c54-5a8c-4c2f-9c27-2f0a1f7ee9a1", "login": None, "age_s": 3599, "idle_s": 3599},
         "ID STATE AGE IDLE TYPED SHOWN"),
        (SAID, "ID NAME LOGIN STATE AGE IDLE LEGS TYPED SHOWN CLIENT"),
        ({"id": "x" * 255}, "ID STATE"),
    ],
)  # fmt: skip
def test_the_table_fits_a_narrow_terminal(changed: sessions.Entry, left: str) -> None:
    lines = sessions.Table(80).lines([{**ENTRY, **changed}])
    assert lines[0].split() == left.split()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith(str({**ENTRY, **changed}["id"])[:36])


def test_a_table_goes_on() -> None:
    """The columns stay, and get wider where they have to."""
    table = sessions.Table(80)
    assert not table.begun
    first, later = table.lines([ENTRY]), table.lines([{**ENTRY, "id": "4712", "login": "alexandra", "job": "4711"}])
    assert [len(first), len(later)] == [2, 1]
    assert later[0].split()[:3] == ["4712", "alexandra", "linked"]
    assert len(later[0].split()) == len(first[0].split())
    (cut,) = table.lines([{**ENTRY, "id": "x" * 255}])
    assert len(cut.split()[0]) < 80


def test_the_details_have_times_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    shown = dict(line.split(maxsplit=1) for line in sessions.details({**ENTRY, **SAID, "created": 1.5e9}).splitlines())
    monkeypatch.undo()
    time.tzset()
    assert (shown["created"], shown["age"], shown["idle"]) == ("2017-07-14 02:40:00 +0000", "1h02m", "4s")
    assert (shown["until"], shown["name"]) == ("2020-09-13 12:26:40 +0000", "train")
    assert "created  1e+300" in sessions.details({"created": 1e300})


def test_what_is_not_known_of_the_site() -> None:
    silent = [{"id": name, "login": None, "owner": "o\x1b", "error": "no answer"} for name in "xy"]
    (line,) = sessions.gaps([ENTRY, *silent])
    assert line.startswith("o")
    assert line.endswith(" does not answer: no answer")
    assert "\x1b" not in line
    assert sessions.gaps([ENTRY]) == []


def test_a_reflector_cannot_write_to_the_terminal() -> None:
    assert "\x1b" not in "".join(sessions.Table(200).lines([{**ENTRY, "client": "\x1b[2J"}]))
    assert "\x1b" not in sessions.details({**ENTRY, "\x1b": "\x1b"})


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.0K"), (10240, "10K"), (5 << 20, "5.0M"), (1 << 50, "1024T"), ("x", "-")],
)
def test_sizes(count: object, text: str) -> None:
    assert sessions.size(count) == text


@pytest.mark.parametrize("arguments", [["list", "id"], ["show"], ["kill"], ["end", "id"], []])
def test_usage(arguments: list[str], complaint: Complaint) -> None:
    assert "medusa sessions" in complaint(sessions.main, arguments, 2)


@pytest.mark.parametrize(("url", "why"), [("http://127.0.0.1:1", "http://127.0.0.1:1: "), ("nonsense", "--reflector")])
def test_no_reflector_there(complaint: Complaint, url: str, why: str) -> None:
    assert why in complaint(sessions.main, ["list", "--reflector", url], 1)
