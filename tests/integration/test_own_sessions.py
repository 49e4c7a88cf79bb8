"""GET /LOGIN/medusa/sessions: the list of a login's own sessions, also of those whose agents wait for a client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import upgrade
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, Keys, allow, attach_path, authorization, date, signed_request, signed_target
from tests.sites import Site
from tests.waiting import wait_until

HOST = "h"


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    directory = tmp_path_factory.mktemp("accounts")
    allow(directory, "alice", keys["ed25519"])
    allow(directory, "bob", keys["ecdsa256"])
    allow(directory, "alice", keys["ecdsa384"], user="ci")
    return directory


@pytest.fixture(scope="module")
def door(accounts: Path) -> Iterator[Reflector]:
    with running("--accounts", str(accounts), "--workers", "2", "--no-status", check=False) as reflector:
        yield reflector


def request(key: Key, owner: str, login: str) -> bytes:
    path, when = f"/{login}/medusa/sessions", date()
    signature = authorization(key, owner, path, HOST, when)
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nDate: {when}\r\nAuthorization: {signature}\r\n\r\n".encode()


def states(reflector: Reflector, key: Key, owner: str = "alice") -> dict[str, str]:
    answer = reflector.ask(request(key, owner, owner.partition("/")[0]))
    assert answer.status == 200, answer
    entries = answer.json()["sessions"]
    assert not any("owner" in entry for entry in entries)
    return {entry["id"]: entry["state"] for entry in entries}


def ask_as_agent(reflector: Reflector, key: Key, login: str, session: str) -> None:
    """As the agent of a failed CI step does, which is told to ask again."""
    target = signed_target(key, login, attach_path(login, session, "slave"), HOST)
    assert reflector.ask(upgrade(target, host=HOST)).status == 404


def test_a_login_sees_its_own_sessions(door: Reflector, keys: Keys) -> None:
    alice, bob = keys["ed25519"], keys["ecdsa256"]
    held, waiting, of_bob = [new_id() for _ in range(6)], new_id(), new_id()
    for session in held:
        ask_as_agent(door, alice, "alice", session)
    ask_as_agent(door, bob, "bob", of_bob)
    with door.enter(signed_request(alice, "alice", attach_path("alice", waiting, "master"), HOST)):
        all_held = dict.fromkeys(held, "held")
        wait_until(lambda: states(door, alice) == {**all_held, waiting: "waiting"}, "what both workers have")
        assert states(door, bob, "bob") == {of_bob: "held"}
        assert states(door, keys["ecdsa384"], "alice/ci") == all_held, "not the seat of an agent"
    with door.enter(signed_request(alice, "alice", attach_path("alice", held[0], "master"), HOST)):
        wait_until(lambda: states(door, alice).get(held[0]) == "waiting", "the session that has begun")


def test_nobody_else_sees_them(door: Reflector, keys: Keys) -> None:
    unsigned = "{} {} HTTP/1.1\r\nHost: h\r\n\r\n"
    for method, path, status in (
        ("GET", "/alice/medusa/sessions", 401),
        ("POST", "/alice/medusa/sessions", 405),
        ("GET", "/../medusa/sessions", 404),
    ):
        assert door.ask(unsigned.format(method, path).encode()).status == status
    assert door.ask(request(keys["ecdsa256"], "bob", "alice")).status == 404
    assert door.ask(request(keys["stranger"], "alice", "alice")).status == 404


def test_without_accounts_the_list_of_all_has_them(tmp_path: Path) -> None:
    session = new_id()
    with running("--trusted-network") as reflector:
        assert reflector.get(f"/attach/{session}/slave").status == 400, "no upgrade: not an agent"
        assert reflector.get("/sessions").json()["sessions"] == []
        assert reflector.ask(upgrade(f"/attach/{session}/slave")).status == 404
        (entry,) = reflector.get("/sessions").json()["sessions"]
        assert (entry["id"], entry["state"], entry["login"]) == (session, "held", None)
        assert entry["agent"].startswith("127.0.0.1:")
        assert reflector.sessions() == [], "/status has sessions that exist"
        assert reflector.get("/alice/medusa/sessions").status == 404


def test_an_agent_that_asks_at_another_reflector_of_the_site(site: Site, accounts: Path, keys: Keys) -> None:
    alice, session = keys["ed25519"], new_id()
    options = ["--accounts", str(accounts), "--front-door-only"]
    with site.reflector(*options, check=False) as here, site.reflector(*options, check=False) as there:
        for reflector in (there, here):
            ask_as_agent(there, alice, "alice", session)
            assert states(reflector, alice) == {session: "held"}
