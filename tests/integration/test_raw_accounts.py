"""The raw port of a reflector with accounts: what is signed is part of the greeting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rawpeers import FramedPeer, connect, linked
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, attach_path, signed_target

HOST = "medusa.example:8382"


@pytest.fixture(scope="module")
def door(key: Key, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reflector]:
    accounts = tmp_path_factory.mktemp("accounts")
    allow(accounts, "alice", key)
    with running("--accounts", str(accounts), "--raw-port", "0") as reflector:
        yield reflector


def target(key: Key, session: str, role: str) -> str:
    return signed_target(key, "alice", attach_path("alice", session, role), HOST)


@pytest.mark.parametrize("scheme", ["", "tcp://"])
def test_a_token_opens_the_session_of_its_login(door: Reflector, key: Key, scheme: str) -> None:
    session = new_id()
    urls = {role: scheme + HOST + target(key, session, role) for role in ("master", "slave")}
    with connect(door, f"ATTACH {session} client {urls['master']}\n".encode()) as client:
        assert client.line() == b"OK waiting"
        with connect(door, f"ATTACH {session} agent {urls['slave']}\n".encode()) as agent:
            linked(agent)
            linked(client)
            client.send(b"x")
            agent.hears(b"x")
    record = door.ended(session)
    assert (record["login"], record["outcome"]) == ("alice", "completed")
    with connect(door, f"ATTACH {session} client {urls['master']}\n".encode()) as again:
        assert again.refused() == b"ERR 403 this signature was used before; sign anew"
    assert "signature" not in door.raw_log.replace("this signature was used", "")


def test_a_signed_greeting_with_frames(door: Reflector, key: Key) -> None:
    session = new_id()
    with connect(door, f"MEDUSA/1 {target(key, session, 'master')} {HOST}\n".encode()) as peer:
        client = FramedPeer(peer.sock)
        assert client.line() == b"OK"
        with connect(door, f"MEDUSA/1 {target(key, session, 'slave')} {HOST}\n".encode()) as other:
            agent = FramedPeer(other.sock)
            assert agent.line() == b"OK"
            linked(client)
            linked(agent)


def test_what_was_signed_for_another_host_side_or_login(door: Reflector, key: Key) -> None:
    signed = target(key, "x", "master")
    for line in (
        f"MEDUSA/1 {signed} other",
        f"MEDUSA/1 {signed.replace('/master', '/slave')} {HOST}",
        f"ATTACH x client {HOST}{signed.replace('/alice/', '/bob/', 1)}",
    ):
        with connect(door, line.encode() + b"\n") as peer:
            assert peer.refused().startswith(b"ERR 404 there is no such session, or the signature does not open it")
