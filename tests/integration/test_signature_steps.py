"""One step in the use of a signature fails: Redis is asked too late, or its answer is lost.

The request gets 503. The signature then works, at any reflector of the site and for any entrance, and only once.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests import faultyredis, reflectors, sites
from tests.faultyredis import LATE, LOST, FaultyRedis
from tests.peers import upgrade
from tests.redisservers import RedisServer
from tests.reflectors import Reflector, new_id
from tests.signing import Key, allow, attach_path, authorization, date, signed_request, signed_target
from tests.waiting import PATIENCE, wait_until

HOST = "medusa.example"
TIMEOUTS = {"directory_timeout": 0.5, "claim_retry_interval": 0.1, "reservation_ttl": 3.0, "recall_timeout": 3.0}

RESERVE = ("used:", "'EXISTS'", "reserved")
CLAIM = ("session:", "'EXISTS'")
CONFIRM = ("used:", "ARGV[3]", "reserved")
"""What tells a question to Redis from others: a part of its key, of its script and of its arguments."""


class Place(NamedTuple):
    """Two reflectors of a site, whose Redis may fail, and alice, who administers it. `server`: the Redis itself."""

    here: Reflector
    there: Reflector
    redis: FaultyRedis
    server: RedisServer
    key: Key

    def client(self, session: str) -> bytes:
        return signed_request(self.key, "alice", attach_path("alice", session, "master"), HOST)

    def url(self, session: str) -> str:
        return signed_target(self.key, "alice", attach_path("alice", session, "slave"), HOST)

    def deletion(self, session: str) -> bytes:
        target, when = f"/sessions/alice/{session}", date()
        signature = authorization(self.key, "alice", target, HOST, when, method="delete")
        head = f"DELETE {target} HTTP/1.1\r\nHost: {HOST}\r\nDate: {when}\r\nAuthorization: {signature}\r\n\r\n"
        return head.encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("site")
    allow(path / "accounts", "alice", key)
    with sites.site(path) as site, faultyredis.in_front_of(site.redis) as redis:
        options = ["--directory", redis.url, "--site-secret-file", str(site.secret_file), "--raw-port", "0"]
        options += ["--accounts", str(path / "accounts"), "--admins", "alice", "--public-host", HOST]
        options += ["--workers", "2", "--trusted-network"]
        with contextlib.ExitStack() as stack:
            here, there = (
                stack.enter_context(reflectors.running(*options, timeouts=TIMEOUTS, check=False)) for _ in range(2)
            )
            yield Place(here, there, redis, site.redis, key)


def status_of(reflector: Reflector, data: bytes) -> int:
    """The answer to a request; a link that it opens is ended at once."""
    with reflector.open(data) as peer:
        return peer.head().status


def status_of_greeting(reflector: Reflector, data: bytes) -> int:
    with socket.create_connection(("127.0.0.1", reflector.raw_port), timeout=PATIENCE) as sock:
        sock.sendall(data)
        answer = sock.recv(100)
        return int(answer.split()[1]) if answer.startswith(b"ERR") else 101


def check(redis: FaultyRedis, fate: str, step: tuple[str, ...], *asks: Callable[[], int]) -> None:
    """Each of `asks` uses the same signature: the first one while Redis fails."""
    with redis.fails(fate, *step):
        assert asks[0]() == 503
    statuses: list[int] = []

    def served() -> bool:
        statuses.append(asks[len(statuses) % len(asks)]())
        return statuses[-1] not in (503, 409)  # 409: the session of the request before is about to end

    wait_until(served, "an answer of Redis", 3 * PATIENCE)
    assert statuses[-1] in (101, 200), statuses
    assert [ask() for ask in asks] == [403] * len(asks)


@pytest.mark.parametrize(("step", "fate"), [(CLAIM, LATE), (CONFIRM, LATE), (CONFIRM, LOST)], ids=str)
def test_a_client(place: Place, step: tuple[str, ...], fate: str) -> None:
    request = place.client(new_id())
    check(place.redis, fate, step, *(lambda to=to: status_of(to, request) for to in place[:2]))


@pytest.mark.parametrize(
    ("raw", "forwarded", "step", "fate"),
    [
        (False, False, RESERVE, LATE),
        (False, False, CONFIRM, LATE),
        (True, False, CONFIRM, LOST),
        (False, True, RESERVE, LOST),
        (False, True, CONFIRM, LATE),
        (True, True, CONFIRM, LOST),
    ],
    ids=str,
)
def test_an_agent(place: Place, raw: bool, forwarded: bool, step: tuple[str, ...], fate: str) -> None:
    session = new_id()
    url = place.url(session)
    to = (place.there, place.here) if forwarded else (place.here, place.there)
    with place.here.enter(place.client(session)):
        wait_until(lambda: place.here.states().get(session) == "slave_wait", "a client that waits")
        ask = status_of_greeting if raw else status_of
        request = f"MEDUSA/1 {url} {HOST}\n".encode() if raw else upgrade(url, host=HOST)
        check(place.redis, fate, step, *(lambda to=to: ask(to, request) for to in to))


@pytest.mark.parametrize("fate", [LATE, LOST])
def test_an_admin(place: Place, fate: str) -> None:
    session = new_id()
    request = place.deletion(session)
    with place.here.enter(place.client(session)):
        wait_until(lambda: place.here.states().get(session) == "slave_wait", "a client that waits")
        check(place.redis, fate, CONFIRM, *(lambda to=to: status_of(to, request) for to in place[:2]))


def test_redis_has_forgotten_everything(place: Place) -> None:
    """What was used before is not used again; what was not used soon works."""
    used, new = place.client(new_id()), place.client(new_id())
    assert status_of(place.here, used) == 101
    place.server.ask("FLUSHALL")
    first = status_of(place.there, used)
    wait_until(lambda: status_of(place.there, new) == 101, "a signature that works")
    assert first in (503, 403)
    assert [status_of(to, used) for to in place[:2]] == [403, 403]
