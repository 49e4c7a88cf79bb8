"""A search through a Redis that has more keys than one part, on one server and in a Cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.directory import Claim, Owner
from medusa.directory.redis import RedisDirectory
from medusa.directory.redis_commands.scan import BATCH
from medusa.directory.seal import Seal
from tests import redisservers

HERE = Owner("http://10.0.0.1:8381")


@pytest.fixture(params=["on_port", "cluster"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisDirectory]:
    with redisservers.running(getattr(redisservers, request.param)(tmp_path)) as server:
        if request.param == "cluster":
            redisservers.join(server)
        plain = server.url.partition(":")[2]
        found = RedisDirectory(f"redis+cluster:{plain}" if request.param == "cluster" else server.url)
        yield found
        found.close()


def test_all_claims_are_in_one_part_or_another(directory: RedisDirectory) -> None:
    wanted = {f"s{number}*": HERE for number in range(2500)}
    for session in wanted:
        directory.claim(session, HERE)
    directory.spend("mark", 60)
    parts = list[int]()
    found, cursor = directory.scan()
    while cursor:
        parts.append(len(found))
        more, cursor = directory.scan(cursor)
        found |= more
    assert found == wanted
    assert len(parts) >= 2
    assert len(directory.entries(10)) == 10
    for text in ("nonsense", "é 1", "zzz 5", " 99999999999999999999"):
        assert directory.scan(text)[0].keys() <= wanted.keys()


def test_only_the_claims_that_begin_alike(directory: RedisDirectory) -> None:
    for name in ("~a*/1", "~a*/2", "~ab/1", "a*"):
        directory.claim(name, HERE)
    found, cursor = directory.scan("", "~a*/")
    while cursor:  # in a Cluster there is a part for each server
        more, cursor = directory.scan(cursor, "~a*/")
        found |= more
    assert found == {"~a*/1": HERE, "~a*/2": HERE}


def test_others_run_after_some_claims(directory: RedisDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run in each sleep, because the reflector lets gevent patch the module `time`."""
    for number in range(2 * BATCH + 1):
        directory.claim(f"s{number}", HERE)
    read, runs = Seal.read, [0]

    def count(seal: Seal, key: bytes, session_id: str, entry: bytes) -> Claim:
        runs[-1] += 1
        return read(seal, key, session_id, entry)

    monkeypatch.setattr(Seal, "read", count)
    monkeypatch.setattr(time, "sleep", lambda _: runs.append(0))
    assert len(directory.entries(1000)) == sum(runs) == 2 * BATCH + 1
    assert max(runs) <= BATCH


def test_no_claims(directory: RedisDirectory) -> None:
    assert directory.scan() == ({}, "")
