"""Sessions of this reflector and of others, as one list."""

from __future__ import annotations

import pytest

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.protocol.http.about import About
from medusa.reflector.admin.lists.cursor import Cursor
from medusa.reflector.admin.lists.pages import Entry, Part, Query, Source, merged
from medusa.reflector.admin.lists.session_list import MAX_SHARE, Page, SessionList
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input
from tests.unit.reflector.conftest import refused
from tests.unit.reflector.registries import new_registry

HERE = "http://127.0.0.1:1"


EVERYTHING = Query()


class Others:
    """One other reflector, or worker, with one session. The directory has one row more."""

    away = False

    def __init__(self) -> None:
        self.killed: list[SessionName] = []

    def sources(self) -> list[Source]:
        return [self._there]

    def _there(self, query: Query) -> Part:
        return Part(query.wanted([{"id": "there", "login": "alice", "owner": "http://127.0.0.1:2", "created": 1.0}]))

    def part(self, own: Source, query: Query, silent: dict[str, str], fresh: bool) -> Part:
        if self.away:
            raise Refusal(503, "the directory is away")
        assert fresh is (query.after == "")
        return merged([own, self._there], query)

    def rows(self, query: Query, silent: dict[str, str], row: str) -> tuple[list[Entry], str]:
        if self.away:
            raise Refusal(503, "the directory is away")
        found: Entry = {"id": "broken", "login": "bob", "owner": None, "error": "broken"}
        return (query.wanted([found]), "") if row else ([], "row")

    def row(self, name: SessionName) -> Entry | None:
        return None

    def kill(self, name: SessionName) -> bool:
        self.killed.append(name)
        return name == ("there", "alice")

    def drain(self, name: SessionName, left: float, peer: str) -> bool:
        return self.kill(name)


def registry() -> Registry:
    return new_registry(ReflectorConfig(), MemoryDirectory(), Owner(HERE))


def listed(listing: SessionList, query: Query = EVERYTHING) -> list[Entry]:
    """All entries of all pages."""
    found: list[Entry] = []
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        entries, cursor, missing = listing.page(query, cursor)
        assert not missing
        found += entries
    return found


def test_one_list() -> None:
    registry_, others = registry(), Others()
    listing = SessionList(registry_, HERE, others=others)
    session = registry_.open(SessionName("here"), "127.0.0.1:2")
    assert [(e["id"], e["owner"]) for e in listed(listing)] == [
        ("there", "http://127.0.0.1:2"),
        ("here", HERE),
        ("broken", None),
    ]
    assert [e["id"] for e in listing.local(EVERYTHING).entries] == ["here"]
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
    assert [e["id"] for e in SessionList(registry_, HERE, workers=Others()).here(EVERYTHING).entries] == ["there"]
    assert SessionList(registry_, HERE, others=Others()).here(EVERYTHING) == Part([])
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
    (entry,) = listed(listing)
    wanted: Entry = {"id": "held", "login": "alice", "state": "held", "owner": HERE, "agent": "192.0.2.1:5"}
    wanted |= {"host": "gpu01", "job": "slurm 4711", "until": 1790000000}
    assert "name" not in entry
    assert wanted.items() <= entry.items()
    assert {"created", "age_s", "idle_s", "client_bytes", "agent_messages"} <= entry.keys()
    found = listing.find(name)
    assert found is not None
    assert (found["id"], found["state"], listing.kill(name)) == ("held", "held", False)
    session = registry_.open(name, "127.0.0.1:2")
    assert [e["state"] for e in listed(listing)] == ["claimed"]
    session.tell(Input.CLIENT_REFUSED)


def test_the_sessions_of_one_login() -> None:
    registry_ = registry()
    listing = SessionList(registry_, HERE, others=Others())
    session = registry_.open(SessionName("here", "bob"), "127.0.0.1:2")
    with refused(404):
        registry_.add_agent(SessionName("held", "bob"))
    lists = {login: sorted(e["id"] for e in listed(listing, Query(login))) for login in ("alice", "bob", "")}
    assert lists == {"alice": ["there"], "bob": ["broken", "held", "here"], "": []}
    session.tell(Input.CLIENT_REFUSED)


def test_pages() -> None:
    """Each session is in one page."""
    registry_ = registry()
    listing = SessionList(registry_, HERE, workers=Others(), others=Others())
    names = [SessionName(str(number), "bob") for number in (3, 1, 4, 2, 0)]
    sessions = [registry_.open(name, "127.0.0.1:2") for name in names]
    pages: list[Page] = []
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        page = listing.page(Query("bob", limit=2), Cursor.read(str(cursor)))
        cursor = page.next
        pages.append(page)
    assert sorted(e["id"] for page in pages for e in page.entries) == ["0", "1", "2", "3", "4", "broken"]
    assert [len(page.entries) in (1, 2) for page in pages] == [True] * len(pages)
    assert pages[-1].entries[0]["id"] == "broken"
    assert [e["id"] for e in listing.page(Query("bob", "3"), Cursor()).entries] == ["3"]
    for session in sessions:
        session.tell(Input.CLIENT_REFUSED)


def test_a_process_describes_a_limited_number_at_a_time() -> None:
    registry_ = registry()
    names = sorted(str(number) for number in range(MAX_SHARE + 1))
    sessions = [registry_.open(SessionName(name), "127.0.0.1:2") for name in names]
    listing = SessionList(registry_, HERE)
    part = listing.local(EVERYTHING)
    assert ([e["id"] for e in part.entries], part.upto) == (names[:-1], "/" + names[-2])
    assert listing.local(Query(after=part.upto or "")).entries[0]["id"] == names[-1]
    assert [len(part.entries) for part in [listing.here(EVERYTHING)]] == [MAX_SHARE + 1]
    for session in sessions:
        session.tell(Input.CLIENT_REFUSED)


@pytest.mark.parametrize("cursor", [Cursor(), Cursor("/"), Cursor(None, "row")])
def test_while_the_directory_is_away(cursor: Cursor) -> None:
    registry_, others = registry(), Others()
    others.away = True
    session = registry_.open(SessionName("here"), "127.0.0.1:2")
    entries, more, missing = SessionList(registry_, HERE, others=others).page(EVERYTHING, cursor)
    assert [e["id"] for e in entries] == ([] if cursor.after is None else ["here"])
    assert (more, missing) == (cursor if cursor.after is None else None, "the directory is away")
    session.tell(Input.CLIENT_REFUSED)
