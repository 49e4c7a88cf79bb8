"""The reflector's own front door: who signs is let in, to what is his."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import BINARY, LINKUP, TEXT, Peer, frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, Keys, allow, attach_path, authorization, date, signed_request, signed_target
from tests.waiting import wait_until

HOST = "medusa.example:8381"
KINDS = ["rsa", "ed25519", "ecdsa256", "ecdsa384", "ecdsa521"]


@pytest.fixture(scope="module")
def stranger(keys: Keys) -> Key:
    return keys["stranger"]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    directory = tmp_path_factory.mktemp("accounts")
    allow(directory, "alice", *(keys[kind] for kind in KINDS))
    allow(directory, "bob", keys["rsa"])
    allow(directory, "alice", keys["ecdsa256"], user="guest")
    return directory


@pytest.fixture(scope="module")
def door(accounts: Path) -> Iterator[Reflector]:
    with running("--accounts", str(accounts)) as reflector:
        yield reflector


@contextlib.contextmanager
def waiting(door: Reflector, key: Key, session: str, login: str = "alice", ago: float = 0) -> Iterator[Peer]:
    """A client whose session waits for its agent."""
    with door.enter(signed_request(key, login, attach_path(login, session, "master"), HOST, ago)) as client:
        wait_until(lambda: (session, login) in states(door))
        yield client


def states(door: Reflector) -> dict[tuple[str, str], str]:
    return {(entry["id"], entry.get("login", "")): entry["state"] for entry in door.sessions()}


def agent_request(key: Key, session: str, login: str = "alice", **changed: str) -> bytes:
    return upgrade(signed_target(key, login, attach_path(login, session, "slave"), HOST, **changed), host=HOST)


def linked(client: Peer, agent: Peer) -> None:
    """Both hear of the other, and bytes pass."""
    client.linked()
    agent.expect(TEXT, LINKUP)
    client.send(frame(BINARY, b"to the agent"))
    agent.expect(BINARY, b"to the agent")
    agent.send(frame(BINARY, b"to the client"))
    client.expect(BINARY, b"to the client")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_opens_a_session(door: Reflector, keys: Keys, kind: str) -> None:
    session, key = new_id(), keys[kind]
    with waiting(door, key, session) as client, door.enter(agent_request(key, session)) as agent:
        linked(client, agent)
    (entry,) = door.logged("attached", session=session, side="agent")
    assert (entry["login"], entry["user"], entry["key"]) == ("alice", None, key.md5)
    assert door.ended(session)["login"] == "alice"


def test_an_accounts_user_acts_for_the_account(door: Reflector, keys: Keys) -> None:
    session, key = new_id(), keys["ecdsa256"]
    path = attach_path("alice", session, "master")
    when = date()
    signed = authorization(key, "alice/guest", path, HOST, when)
    with door.enter(upgrade(path, host=HOST, date=when, authorization=signed)):
        wait_until(lambda: door.logged("attached", session=session, user="guest"))


@pytest.mark.parametrize(
    "request_of",
    [
        lambda key, session: signed_request(key, "alice", attach_path("alice", session, "slave"), HOST),
        lambda key, session: agent_request(key, session, method="GET"),
        lambda key, session: agent_request(key, session, method="GET,HEAD", role="operator"),
        lambda key, session: agent_request(key, session, algorithm="RSA-SHA512"),
    ],
    ids=["a signed header", "its method named", "two methods and a role", "sha512"],
)
def test_other_ways_for_an_agent_to_sign(door: Reflector, keys: Keys, request_of: object) -> None:
    session, key = new_id(), keys["rsa"]
    assert callable(request_of)
    with waiting(door, key, session) as client, door.enter(request_of(key, session)) as agent:
        linked(client, agent)


def test_one_id_under_two_logins_is_two_sessions(door: Reflector, keys: Keys) -> None:
    session, key = new_id(), keys["rsa"]
    with waiting(door, key, session) as alice, waiting(door, key, session, "bob") as bob:
        with door.enter(agent_request(key, session, "bob")) as agent:
            linked(bob, agent)
            assert states(door)[session, "alice"] == "slave_wait"
        with door.enter(agent_request(key, session)) as agent:
            linked(alice, agent)


def test_nor_is_it_the_one_of_the_internal_api(door: Reflector, keys: Keys) -> None:
    session = new_id()
    with waiting(door, keys["rsa"], session):
        assert door.ask(upgrade(f"/attach/{session}/slave")).status == 404
        assert door.ask(upgrade(f"/attach/~alice%2f{session}/slave")).status == 400
        with door.attach(session, "master"):
            wait_until(lambda: (session, "") in states(door))


def test_a_url_is_good_once(door: Reflector, keys: Keys) -> None:
    session, key = new_id(), keys["ed25519"]
    once = agent_request(key, session)
    assert door.ask(once).status == 404, "before there is a session: it was not used"
    with waiting(door, key, session) as client, door.enter(once) as agent:
        linked(client, agent)
        assert door.ask(once).status == 403
    door.ended(session)
    with waiting(door, key, session, ago=7):
        answer = door.ask(once)
        assert (answer.status, answer.rest) == (403, b"this signature was used before; sign anew\n")


def test_old_clients_sign_the_date_alone(accounts: Path, keys: Keys) -> None:
    path = attach_path("alice", session := new_id(), "master")
    when = date()

    def weak(**changed: str) -> bytes:
        signed = authorization(keys["rsa"], "alice", path, HOST, when, ("date",), **changed)
        return upgrade(path, host=HOST, date=when, authorization=signed)

    with running("--accounts", str(accounts), "--legacy-signatures") as reflector:
        with reflector.enter(weak()):
            wait_until(lambda: states(reflector))
        reflector.ended(session)
        with reflector.enter(weak(algorithm="rsa-sha1").replace(session.encode(), new_id().encode())):
            pass
        answer = reflector.ask(weak().replace(b"/master", b"/slave"))
        assert (answer.status, answer.rest) == (401, b"the signature must cover (request-target) host date\n")


def test_origins_on_the_list_may_attach(accounts: Path, keys: Keys) -> None:
    path = attach_path("alice", new_id(), "master")
    request = signed_request(keys["rsa"], "alice", path, HOST)
    with running("--accounts", str(accounts), "--allow-origin", "https://jobs.example") as reflector:
        for origin in ("https://jobs.example.evil", "http://jobs.example", "null", ""):
            assert reflector.ask(request[:-2] + f"Origin: {origin}\r\n\r\n".encode()).status == 403
        with reflector.enter(request[:-2] + b"Origin: https://Jobs.example\r\n\r\n"):
            pass


def test_a_reflector_that_knows_its_names_is_no_other(accounts: Path, keys: Keys) -> None:
    path = attach_path("alice", new_id(), "master")
    with running("--accounts", str(accounts), "--public-host", "Medusa.example:8381, other.example") as reflector:
        assert reflector.ask(signed_request(keys["rsa"], "alice", path, "elsewhere.example")).status == 403
        with reflector.enter(signed_request(keys["rsa"], "alice", path, "MEDUSA.example:8381")):
            pass
