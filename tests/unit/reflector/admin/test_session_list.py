"""Sessions of this reflector and of others, as one list."""

from __future__ import annotations

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.admin.session_list import Entry, SessionList
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input
from tests.unit.reflector.registries import new_registry

HERE = "http://127.0.0.1:1"


class Others:
    """One other reflector, with one session."""

    def __init__(self) -> None:
        self.killed: list[SessionName] = []

    def entries(self) -> list[Entry]:
        return [{"id": "there", "login": "alice", "owner": "http://127.0.0.1:2", "created": 1.0}]

    def kill(self, name: SessionName) -> bool:
        self.killed.append(name)
        return name == ("there", "alice")

    def drain(self, name: SessionName, left: float) -> bool:
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
