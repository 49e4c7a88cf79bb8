"""A signed request is checked by the reflector that it reaches, and not again by the one that owns the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import sites
from tests.peers import Answer, upgrade
from tests.reflectors import Reflector, new_id
from tests.signing import Key, allow, attach_path, signed_request, signed_target
from tests.waiting import wait_until

HOST = "medusa.example"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Iterator[tuple[Reflector, Reflector]]:
    path = tmp_path_factory.mktemp("site")
    allow(path / "accounts", "alice", key)
    allow(path / "accounts", "bob", Key("ed25519"))
    with sites.site(path) as site:
        options = ["--accounts", str(path / "accounts"), "--public-host", HOST]
        with site.reflector(*options) as here, site.reflector(*options) as there:
            yield here, there


def agent_request(key: Key, session: str, login: str = "alice", **changed: str) -> bytes:
    return upgrade(signed_target(key, login, attach_path(login, session, "slave"), HOST, **changed), host=HOST)


def client_request(key: Key, session: str) -> bytes:
    return signed_request(key, "alice", attach_path("alice", session, "master"), HOST)


def test_a_signature_is_good_for_one_use_in_the_whole_site(both: tuple[Reflector, Reflector], key: Key) -> None:
    here, there = both
    session = new_id()
    request, url = client_request(key, session), agent_request(key, session)
    with here.enter(request) as client:
        wait_until(lambda: session in here.states())
        assert there.ask(request).status == 403
        with there.enter(url) as agent:
            sites.linked(client, agent)
            for reflector in both:
                answer = reflector.ask(url)
                assert (answer.status, answer.rest) == (403, b"this signature was used before; sign anew\n")
    assert here.ended(session)["login"] == "alice"
    (entry,) = there.logged("attached", session=session)
    assert (entry["login"], entry["side"], entry["key"]) == ("alice", "agent", key.md5)


def test_a_signature_that_opened_nothing_is_not_used_up(both: tuple[Reflector, Reflector], key: Key) -> None:
    here, there = both
    session = new_id()
    url = agent_request(key, session)
    unknown = there.ask(url)
    assert unknown.status == 404
    with here.enter(client_request(key, session)) as client:
        wait_until(lambda: session in here.states())
        with there.enter(agent_request(key, session, role="another")) as other:
            sites.linked(client, other)
            assert answer(there, url).status == 409
            assert answer(here, url).status == 409
        client.closed()
        assert answer(there, url).undated == unknown.undated
    assert answer(there, url).undated == unknown.undated, "a session that is over looks like one that never was"


def answer(reflector: Reflector, url: bytes) -> Answer:
    """The answer after the signature was given back, which happens just after the previous answer."""
    (found,) = wait_until(
        lambda: [a for a in [reflector.ask(url)] if a.status != 403], "a signature that was given back"
    )
    return found


def test_nobody_is_forwarded_into_the_session_of_another_login(both: tuple[Reflector, Reflector], key: Key) -> None:
    here, there = both
    session = new_id()
    with here.enter(client_request(key, session)):
        wait_until(lambda: session in here.states())
        for request in (agent_request(Key("ed25519"), session), agent_request(key, session, "bob")):
            assert there.ask(request).status == 404
        assert here.states()[session] == "slave_wait"
