"""A search through a Redis that has more keys than one part, on one server and in a Cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.directory import Owner
from medusa.directory.redis import RedisDirectory
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


def test_no_claims(directory: RedisDirectory) -> None:
    assert directory.scan() == ({}, "")
