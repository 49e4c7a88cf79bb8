"""Another program has written to the directory: no reflector believes it, and no other name is affected."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from medusa.directory import Claim, Owner
from medusa.directory.seal import Seal
from tests import sites
from tests.administrators import run
from tests.peers import upgrade
from tests.reflectors import Reflector, new_id
from tests.sites import QUICK, Site
from tests.waiting import wait_until

TOKEN = "ab" * 16

LIST_INSTEAD = "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'theirs')"
"""A script of Redis that makes a key a list. With two commands, a reflector could write it between them."""


@pytest.fixture(scope="module")
def both(site: Site) -> Iterator[tuple[Reflector, Reflector]]:
    with site.reflector(timeouts=QUICK) as here, site.reflector(timeouts=QUICK) as there:
        yield here, there


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Where a forger would like to have the agents."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def key(session: str) -> str:
    return f"medusa:session:{session}"


def status(reflector: Reflector, session: str, role: str) -> int:
    with reflector.open(upgrade(f"/attach/{session}/{role}")) as peer:
        return peer.head().status


FORGERIES: dict[str, list[Any]] = {
    "as before": ["SET", f"{TOKEN} http://127.0.0.1:PORT"],
    "of another site": ["SET", b""],
    "JSON": ["SET", '{"owner": "http://127.0.0.1:PORT"}'],
    "not UTF-8": ["SET", b"\xff\xfe http://127.0.0.1:PORT"],
    "empty": ["SET", ""],
    "huge": ["SET", b"x" * (8 << 20)],
    "a list": ["RPUSH", "x"],
    "a hash": ["HSET", "x", "y"],
    "a set": ["SADD", "x"],
    "a stream": ["XADD", "*", "x", "y"],
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_an_entry_that_was_forged(
    both: tuple[Reflector, Reflector], site: Site, listener: socket.socket, kind: str
) -> None:
    here, there = both
    session, port = new_id(), listener.getsockname()[1]
    if kind == "of another site":
        claim = Claim(session, Owner(f"http://127.0.0.1:{port}"), TOKEN)
        command = ["SET", Seal(b"another secret").entry(key(session).encode(), claim)]
    else:
        command = [_with_port(word, port) for word in FORGERIES[kind]]
    site.redis.ask(command[0], key(session), *command[1:])
    try:
        assert [status(here, session, role) for role in ("slave", "master")] == [503, 503]
        assert here.get("/readyz").status == 200
        delete = f"DELETE /sessions/{session} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        assert here.ask(delete).status == 503
        with sites.pair(here, there) as (client, agent):
            sites_listed = here.get("/sessions").json()["sessions"]
            assert len([entry for entry in sites_listed if entry.get("state") == "linked"]) == 1
            done = run(there, "list")
            assert done.returncode == 0
            assert kind == "empty" or f"{session}: the directory's entry" in done.stderr
            client.text("x")
            agent.expect(1, b"x")
        with pytest.raises(BlockingIOError):
            listener.accept()
    finally:
        site.redis.ask("DEL", key(session))
    assert status(here, session, "slave") == 404


def _with_port(word: Any, port: int) -> Any:
    return word.replace(*(("PORT", str(port)) if isinstance(word, str) else (b"PORT", str(port).encode())))


def test_the_entry_of_a_live_session(both: tuple[Reflector, Reflector], site: Site) -> None:
    """The session goes on, others are renewed, and the entry is written again when the forged one is gone."""
    here, there = both
    session, other = new_id(), new_id()
    with contextlib.ExitStack() as stack:
        stack.enter_context(sites.pair(here, here, other))
        client, agent = stack.enter_context(sites.pair(here, there, session))
        site.redis.ask("EVAL", LIST_INSTEAD, 1, key(session))
        wait_until(lambda: here.logged("entry broken", session=session), "a renewal")
        client.text("x")
        agent.expect(1, b"x")
        site.redis.ask("DEL", key(session))
        wait_until(lambda: here.logged("claim restored", session=session), "the next renewal")
        assert status(there, session, "slave") == 409
        assert site.claimed(other)


def test_an_entry_is_worth_nothing_under_another_name(both: tuple[Reflector, Reflector], site: Site) -> None:
    here, there = both
    session, other = new_id(), new_id()
    with here.attach(session, "master"):
        sites.waits(here, session)
        site.redis.ask("COPY", key(session), key(other))
        assert status(there, other, "slave") == 503
        site.redis.ask("DEL", key(other))


def test_a_key_that_a_reflector_writes_itself(own_site: Site) -> None:
    """Of another type: the entry of its address, and the name that no session has."""
    with own_site.reflector(timeouts=QUICK) as here:
        for name in (key("."), f"medusa:reflector:{here.url}"):
            own_site.redis.ask("EVAL", LIST_INSTEAD, 1, name)
        with here.pair() as (client, agent):
            wait_until(lambda: here.logged("entry broken", address=here.url), "a renewal")
            assert here.get("/readyz").status == 200
            client.text("x")
            agent.expect(1, b"x")
        with own_site.reflector("--advertise", f"127.0.0.1:{here.port}"):
            assert status(here, new_id(), "slave") == 404
