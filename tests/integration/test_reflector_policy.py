"""What a site forbids the agents of a login: they are told in the answer that lets them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.peers import Peer, upgrade
from tests.rawpeers import FramedPeer, connect
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, attach_path, signed_target

HOST = "medusa.example:8382"


@pytest.fixture(scope="module")
def door(key: Key, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reflector]:
    accounts = tmp_path_factory.mktemp("accounts")
    for login in ("alice", "bob"):
        allow(accounts, login, key)
    with running("--accounts", str(accounts), "--raw-port", "0", "--no-forwarding", "alice") as reflector:
        yield reflector


def by_http(door: Reflector, target: str) -> tuple[Peer, str | None]:
    peer = door.open(upgrade(target, host=HOST))
    answer = peer.head()
    assert answer.status == 101
    return peer, answer.headers.get("medusa-forbid")


def by_raw_tcp(door: Reflector, target: str) -> tuple[Peer, str | None]:
    peer = FramedPeer(connect(door, f"MEDUSA/1 {target} {HOST}\n".encode()).sock)
    return peer, peer.line().decode().partition("OK forbid=")[2] or None


@pytest.mark.parametrize(("login", "forbidden"), [("alice", "forwarding"), ("bob", None)])
@pytest.mark.parametrize("enter", [by_http, by_raw_tcp])
def test_the_agents_of_a_login_may_not_forward(
    door: Reflector,
    key: Key,
    enter: Callable[[Reflector, str], tuple[Peer, str | None]],
    login: str,
    forbidden: str | None,
) -> None:
    session, found = new_id(), []
    for role in ("master", "slave"):
        found.append(enter(door, signed_target(key, login, attach_path(login, session, role), HOST)))
    for peer, _ in found:
        peer.close()
    door.ended(session)
    assert [told for _, told in found] == [None, forbidden]
