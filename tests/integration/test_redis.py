"""The shared directory on a real Redis, whose server fails in many ways."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import gevent
import pytest
import redis

from medusa.directory import BrokenEntry, Claim, DirectoryError, Mark, Owner, SessionExists, StaleClaim
from medusa.directory.redis import RedisDirectory
from medusa.directory.tokens import new_token
from medusa.protocol.http.signature import KeyId
from medusa.reflector.auth.authenticator import Grant
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.auth.single_use import Reservation, SingleUse
from medusa.reflector.config import Timeouts
from medusa.reflector.refusal import Refusal
from medusa.reflector.sessions.claims.names import Claims
from tests import redisservers
from tests.links import CERTIFICATE
from tests.ports import free_port
from tests.redisservers import RedisServer
from tests.unit.reflector.conftest import refused
from tests.waiting import MS, wait_until

GRANT = Grant(KeyId("alice", None, "fp"), b"d" * 32, time.time() + 3600)
HERE, THERE = Owner("http://10.0.0.1:8381"), Owner("http://10.0.0.2:8381")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redisservers.running(redisservers.on_port(tmp_path)) as server:
        yield server


@contextlib.contextmanager
def opened(url: str, **settings: Any) -> Iterator[RedisDirectory]:
    directory = RedisDirectory(url, **settings)
    try:
        yield directory
    finally:
        directory.close()


def test_a_server_that_starts_again_has_forgotten_and_is_reached_at_the_first_try(server: RedisServer) -> None:
    with opened(server.url) as directory:
        claim = directory.claim("id", HERE)
        server.kill()
        with pytest.raises(DirectoryError, match=r"redis://127.0.0.1:[0-9]+: .*refused"):
            directory.lookup("id")
        server.start()
        with pytest.raises(StaleClaim):
            directory.renew(claim)
        directory.claim("id", HERE)


def test_a_connection_that_broke_is_not_noticed(server: RedisServer) -> None:
    with opened(server.url) as directory:
        claim = directory.claim("id", HERE)
        for _ in range(3):
            assert server.ask("CLIENT", "KILL", "TYPE", "normal") >= 1
            directory.renew(claim)


def test_what_was_done_before_its_answer_was_lost_counts_as_done(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt to claim, inherit or release."""
    token = new_token(time.time())  # it begins with the second, so the next one may differ in more than random digits
    monkeypatch.setattr("medusa.directory.redis.new_token", lambda *_: token)
    with opened(server.url) as directory:
        claim = directory.claim("id", HERE)
        assert directory.claim("id", HERE) == claim
        with pytest.raises(SessionExists):
            directory.claim("id", THERE)
        assert directory.inherit(Claim("id", HERE, "older")) == claim
        directory.release(claim)
        directory.release(claim)


def test_a_server_that_is_silent(server: RedisServer) -> None:
    with opened(server.url, timeout=0.2) as directory:
        claim = directory.claim("id", HERE)
        with server.stopped(), pytest.raises(DirectoryError):
            directory.renew(claim)
        wait_until(lambda: answers(directory))
        directory.renew(claim)


def answers(directory: RedisDirectory) -> bool:
    try:
        directory.lookup("")
    except DirectoryError:
        return False
    return True


def test_connections_are_limited(server: RedisServer) -> None:
    with opened(server.url, timeout=0.2, connections=2) as directory:
        threads = [Thread(target=answers, args=(directory,)) for _ in range(8)]
        with server.stopped():
            for thread in threads:
                thread.start()
            with pytest.raises(DirectoryError):
                directory.lookup("id")
        for thread in threads:
            thread.join()
        clients = server.ask("CLIENT", "LIST", "TYPE", "normal").splitlines()
        assert len(clients) <= 2 + 1, "the connection that asks is one of them"


def test_a_server_that_is_full(server: RedisServer) -> None:
    with opened(server.url) as directory:
        claim = directory.claim("id", HERE)
        server.ask("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(DirectoryError, match="maxmemory"):
            directory.claim("other", HERE)
        directory.renew(claim)
        assert directory.lookup("id") == HERE
        directory.release(claim)
        assert directory.lookup("id") is None
        server.ask("CONFIG", "SET", "maxmemory", 0)
        directory.claim("other", HERE)


def test_a_server_that_holds_other_keys(server: RedisServer) -> None:
    server.ask("MSET", *[word for number in range(20_000) for word in (f"medusb:{number}", "")])
    server.ask("SET", "medusa:session", "theirs")
    server.ask("SET", "medusa:session:theirs", "theirs")
    server.ask("RPUSH", "medusa:session:list", "theirs")
    with opened(server.url) as directory:
        for session_id in ("theirs", "list"):
            with pytest.raises(BrokenEntry):
                directory.claim(session_id, HERE)
            with pytest.raises(BrokenEntry):
                directory.lookup(session_id)
        assert directory.entries(10) == {"theirs": None, "list": None}
        server.ask("DEL", "medusa:session:theirs", "medusa:session:list")
        directory.claim("ours", HERE)
        assert directory.entries(10) == {"ours": HERE}
        server.ask("SET", b"medusa:session:\xff", "token address")
        assert len(directory.entries(10)) == 2
    with opened(server.url + "?prefix=other:") as other:
        other.claim("ours", THERE)
        assert other.entries(10) == {"ours": THERE}


def test_marks_are_spent_once(server: RedisServer) -> None:
    with opened(server.url) as directory, opened(server.url) as other:
        assert directory.spend("mark", 10)
        assert not other.spend("mark", 10)
        assert other.is_spent("mark")
        assert not other.is_spent("another")
        server.pass_time(11)
        assert not other.is_spent("mark")
        assert directory.spend("mark", 10)
        assert directory.entries(10) == {}


def test_marks_are_reserved_then_used(server: RedisServer) -> None:
    """Every step is repeated, as after an answer that was lost; and no token of another request changes anything."""
    with opened(server.url) as one, opened(server.url) as other:
        for _ in range(2):
            assert one.reserve("mark", "a", 10) is Mark.FREE
        assert other.reserve("mark", "b", 10) is Mark.RESERVED
        assert not other.spend("mark", 10)
        assert not other.confirm("mark", "b", "c", 100)
        other.give_back("mark", "b", "c")
        for _ in range(2):
            assert one.confirm("mark", "a", "c", 100)
        assert not other.confirm("mark", "a", "d", 100), "the same reservation is not used twice"
        other.give_back("mark", "a", "b", "d")
        one.settle("mark", "d")
        server.pass_time(50)
        assert other.reserve("mark", "b", 10) is Mark.RESERVED
        for _ in range(2):
            one.settle("mark", "c")
        server.pass_time(40)
        assert other.reserve("mark", "b", 10) is Mark.USED
        one.give_back("mark", "a", "c")
        assert other.reserve("mark", "b", 10) is Mark.FREE
        server.pass_time(11)
        assert not other.confirm("mark", "b", "d", 100), "a reservation that has expired is not used"
        assert one.reserve("mark", "a", 10) is Mark.FREE
        one.give_back("mark", "a")
        assert not one.confirm("mark", "a", "c", 100), "nor one that was given back"


def test_a_mark_of_the_version_before_is_used(server: RedisServer) -> None:
    server.ask("SET", "medusa:used:mark", b"\xff" * 16, "PX", 10_000)
    with opened(server.url) as directory:
        assert directory.reserve("mark", "a", 10) is Mark.USED


def test_leases_are_apart_from_sessions(server: RedisServer) -> None:
    with opened(server.url) as directory:
        leases = directory.leases()
        lease = leases.claim("id", HERE)
        assert directory.lookup("id") is None
        assert directory.entries(10) == {}
        directory.claim("id", THERE)
        leases.release(lease)
        assert leases.lookup("id") is None
        assert directory.lookup("id") == THERE


@pytest.mark.parametrize("step", ["reserve", "confirm"])
def test_a_signature_works_after_redis_was_silent(server: RedisServer, step: str) -> None:
    """While it was reserved or used: soon, at any reflector, and only once."""
    timeouts = Timeouts(claim_retry_interval=20 * MS)
    with opened(server.url, timeout=0.2) as directory, opened(server.url) as other:
        here, there = (Claims(store, HERE, timeouts) for store in (directory, other))
        keeping = gevent.spawn(here.renew_forever)
        first, second = (SingleUse(ReplayCache(time.time), claims.marks, time.time) for claims in (here, there))
        reservation = first.reserve(GRANT) if step == "confirm" else None
        with server.writes_held(), refused(503, retry_after=5):
            if reservation is None:
                first.reserve(GRANT)
            else:
                reservation.confirm()
        if reservation is not None:
            reservation.give_back()
        again = wait_until(lambda: reserved(second), nap=gevent.sleep)
        assert again is not None
        with refused(503, retry_after=5):
            first.reserve(GRANT)
        again.confirm()
        again.settle()
        for book in (first, second):
            with refused(403):
                book.reserve(GRANT)
        keeping.kill()
        here.finish()


def reserved(book: SingleUse) -> Reservation | None:
    with contextlib.suppress(Refusal):
        return book.reserve(GRANT)
    return None


@pytest.mark.parametrize("login", ["", ":wrong-secret@", "medusa:wrong-secret@"])
def test_a_password_that_is_wrong_is_not_shown(tmp_path: Path, login: str) -> None:
    server = redisservers.on_port(tmp_path, "--requirepass", "right-secret", password="right-secret")
    with redisservers.running(server):
        with opened(server.url.replace("//", f"//{login}")) as directory, pytest.raises(DirectoryError) as caught:
            directory.lookup("id")
        assert "secret" not in str(caught.value)
        with opened(server.url.replace("//", "//:right-secret@")) as directory:
            directory.claim("id", HERE)


def test_tls(tmp_path: Path) -> None:
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", str(CERTIFICATE), "--tls-key-file", str(CERTIFICATE)]
    tls += ["--tls-ca-cert-file", str(CERTIFICATE), "--tls-auth-clients", "no"]
    with redisservers.running(redisservers.on_socket(tmp_path, *tls)):
        with opened(f"rediss://localhost:{port}?ssl_ca_certs={CERTIFICATE}") as directory:
            directory.claim("id", HERE)
        with opened(f"rediss://localhost:{port}") as directory, pytest.raises(DirectoryError, match=r"(?i)certificate"):
            directory.lookup("id")


def test_a_socket(tmp_path: Path) -> None:
    with redisservers.running(redisservers.on_socket(tmp_path)) as server, opened(server.url) as directory:
        directory.claim("id", HERE)
        assert directory.entries(1) == {"id": HERE}


def test_a_master_that_fails_over(tmp_path: Path) -> None:
    for name in ("master", "replica", "sentinel"):
        (tmp_path / name).mkdir()
    master = redisservers.on_port(tmp_path / "master")
    replica = redisservers.on_port(tmp_path / "replica", "--replicaof", f"127.0.0.1 {master.target['port']}")
    sentinel = redisservers.sentinel(tmp_path / "sentinel", master)
    url = sentinel.url.replace("redis:", "redis+sentinel:") + "/main"
    with contextlib.ExitStack() as stack:
        for server in (master, replica, sentinel):
            stack.enter_context(redisservers.running(server))
        with opened(url) as directory:
            claim = directory.claim("id", HERE)
            wait_until(lambda: replica.ask("EXISTS", "medusa:session:id"), "a copy")
            wait_until(lambda: fails_over(sentinel), "a failover")
            wait_until(lambda: replica.ask("INFO", "replication")["role"] == "master", "a new master")
            master.kill()
            wait_until(lambda: answers(directory), "a directory that has found it")
            directory.renew(claim)
            assert directory.lookup("id") == HERE


def fails_over(sentinel: RedisServer) -> bool:
    """False if it has not found the replica yet."""
    try:
        return bool(sentinel.ask("SENTINEL", "FAILOVER", "main"))
    except redis.ResponseError:
        return False
