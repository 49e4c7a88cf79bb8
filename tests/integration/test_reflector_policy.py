"""What a site forbids the agents of a login: they are told in the answer that lets them in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers import upgrade
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


@pytest.mark.parametrize(("login", "forbidden"), [("alice", "forwarding"), ("bob", None)])
def test_the_agents_of_a_login_may_not_forward(door: Reflector, key: Key, login: str, forbidden: str | None) -> None:
    answers = []
    for session in (new_id(), new_id()):
        target = {role: signed_target(key, login, attach_path(login, session, role), HOST) for role in ROLES}
        with door.open(upgrade(target["master"], host=HOST)) as client:
            head = client.head()
            assert (head.status, "medusa-forbid" in head.headers) == (101, False)
            if answers:
                with connect(door, f"MEDUSA/1 {target['slave']} {HOST}\n".encode()) as raw:
                    answers.append(FramedPeer(raw.sock).line().decode())
            else:
                with door.open(upgrade(target["slave"], host=HOST)) as agent:
                    answers.append(agent.head().headers.get("medusa-forbid"))
        door.ended(session)
    assert answers == [forbidden, f"OK forbid={forbidden}" if forbidden else "OK"]


ROLES = ("master", "slave")
