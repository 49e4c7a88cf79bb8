"""Sessions of this reflector and of others, as one list."""

from __future__ import annotations

import pytest

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.protocol.http.about import About
from medusa.reflector.admin.session_list import Entry, SessionList, _once
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input
from tests.unit.reflector.conftest import refused
from tests.unit.reflector.registries import new_registry

HERE = "http://127.0.0.1:1"


class Others:
    """One other reflector, with one session."""

    def __init__(self) -> None:
        self.killed: list[SessionName] = []

    def entries(self, login: str | None = None) -> list[Entry]:
        entry = {"id": "there", "login": "alice", "owner": "http://127.0.0.1:2", "created": 1.0}
        return [entry] if login in (None, "alice") else []

    def kill(self, name: SessionName) -> bool:
        self.killed.append(name)
        return name == ("there", "alice")

    def drain(self, name: SessionName, left: float, peer: str) -> bool:
        return self.kill(name)


def registry() -> Registry:
    return new_registry(ReflectorConfig(), MemoryDirectory(), Owner(HERE))


def test_one_list() -> None:
    registry_, others = registry(), Others()
    listing = SessionList(registry_, HERE, others=others)
    session = registry_.open(SessionName("here"), "127.0.0.1:2")
    assert [(e["id"], e["owner"]) for e in listing.entries()] == [("there", "http://127.0.0.1:2"), ("here", HERE)]
    assert [e["id"] for e in listing.local()] == ["here"]
    found = listing.find(SessionName("here"))
    assert found is not None
    assert (found["state"], found["login"], found["agent_bytes"]) == ("claimed", None, 0)
    assert "client" not in found
    assert listing.find(SessionName("there")) is None, "it is alice's"
    assert listing.find(SessionName("there", "alice")) is not None
    session.tell(Input.CLIENT_REFUSED)


def test_the_end_of_each() -> None:
    registry_, others = registry(), Others()
    listing = SessionList(registry_, HERE, others=others)
    session = registry_.open(SessionName("here"), "127.0.0.1:2")
    assert listing.kill(session.name)
    assert others.killed == []
    assert listing.kill(SessionName("there", "alice"))
    assert not listing.kill(SessionName("there"))
    session.tell(Input.CLIENT_REFUSED)


def test_workers_are_part_of_a_reflector_and_others_are_not() -> None:
    registry_ = registry()
    assert [e["id"] for e in SessionList(registry_, HERE, workers=Others()).here()] == ["there"]
    assert SessionList(registry_, HERE, others=Others()).here() == []
    name = SessionName("there", "alice")
    assert SessionList(registry_, HERE, workers=Others()).kill_here(name)
    assert not SessionList(registry_, HERE, others=Others()).kill_here(name)
    assert SessionList(registry_, HERE, workers=Others()).drain_here(name, 1.0)
    assert not SessionList(registry_, HERE, others=Others()).drain_here(name, 1.0)


def test_a_session_whose_agent_waits_for_a_client() -> None:
    registry_ = registry()
    listing = SessionList(registry_, HERE)
    name = SessionName("held", "alice")
    with refused(404):
        registry_.add_agent(name, "192.0.2.1:5", about=About("its client's to say", "gpu01", "slurm 4711", 1790000000))
    (entry,) = listing.entries()
    wanted: Entry = {"id": "held", "login": "alice", "state": "held", "owner": HERE, "agent": "192.0.2.1:5"}
    wanted |= {"host": "gpu01", "job": "slurm 4711", "until": 1790000000}
    assert "name" not in entry
    assert wanted.items() <= entry.items()
    assert {"created", "age_s", "idle_s", "client_bytes", "agent_messages"} <= entry.keys()
    found = listing.find(name)
    assert found is not None
    assert (found["id"], found["state"], listing.kill(name)) == ("held", "held", False)
    session = registry_.open(name, "127.0.0.1:2")
    assert [e["state"] for e in listing.entries()] == ["claimed"]
    session.tell(Input.CLIENT_REFUSED)


def test_the_sessions_of_one_login() -> None:
    registry_ = registry()
    listing = SessionList(registry_, HERE, others=Others())
    session = registry_.open(SessionName("here", "bob"), "127.0.0.1:2")
    with refused(404):
        registry_.add_agent(SessionName("held", "bob"))
    lists = {login: [e["id"] for e in listing.entries(login)] for login in ("alice", "bob", "")}
    assert lists == {"alice": ["there"], "bob": ["here", "held"], "": []}
    session.tell(Input.CLIENT_REFUSED)


@pytest.mark.parametrize("backwards", [False, True])
def test_the_entry_that_says_most_is_shown(backwards: bool) -> None:
    asked = {"id": "1", "login": None, "state": "held", "created": 5.0}
    entries: list[Entry] = [
        {"id": "1", "login": None, "owner": "there", "error": "silent"},
        {**asked, "idle_s": 7.0},
        {**asked, "idle_s": 3.0},
        {"id": "2", "login": None, "state": "held", "created": 6.0, "idle_s": 1.0},
        {"id": "2", "login": None, "state": "linked", "created": 7.0},
    ]
    shown = _once(entries[::-1] if backwards else entries)
    assert [e.get("idle_s") for e in sorted(shown, key=lambda e: str(e["id"]))] == [3.0, None]
