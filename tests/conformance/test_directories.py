from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medusa.directory.memory import MemoryDirectory
from medusa.directory.redis import RedisDirectory
from tests import redisservers
from tests.conformance.check_directory import CHECKS, Store


@pytest.fixture(scope="module", params=["memory", "redis", "cluster"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Store]]:
    path = tmp_path_factory.mktemp("redis")
    if request.param == "memory":
        yield memory
    elif request.param == "redis":
        with redisservers.running(redisservers.on_port(path)) as server:
            yield lambda: shared(server, server.url)
    else:
        with redisservers.running(redisservers.cluster(path)) as server:
            redisservers.join(server)
            yield lambda: shared(server, server.url.replace("redis:", "redis+cluster:"))


def memory() -> Store:
    passed: list[float] = []
    directory = MemoryDirectory(lambda: sum(passed))
    return Store(directory, directory, passed.append)


def shared(server: redisservers.RedisServer, url: str) -> Store:
    url = f"{url}?prefix=odd[{uuid.uuid4()}]*:"
    return Store(RedisDirectory(url), RedisDirectory(url), server.pass_time)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_conformance(check: Callable[[Store], None], kind: Callable[[], Store]) -> None:
    store = kind()
    try:
        check(store)
    finally:
        store.one.close()
        store.other.close()


def test_one_of_a_hundred_processes_wins(tmp_path: Path) -> None:
    with redisservers.running(redisservers.on_port(tmp_path)) as server:
        assert sorted(redisservers.race(server.url, 100)) == [b"lost"] * 99 + [b"won"]
