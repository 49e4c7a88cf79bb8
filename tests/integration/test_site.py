"""Three reflectors behind a load balancer: sessions whose ends come in by any door, while reflectors come and go."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from tests import balancers, sites
from tests.peers import BINARY, TEXT, Peer, close_frame, upgrade
from tests.ports import free_port
from tests.reflectors import Reflector, new_id
from tests.sites import Site
from tests.waiting import PATIENCE, wait_until

AT_ONCE = 8
SIZE = 1 << 20
PIECE = 64 * 1024
DOORS = 3

Balancer = Callable[[Path, list[int]], contextlib.AbstractContextManager[int]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sites.site(tmp_path) as site:
        yield site


def enter(port: int, path: str) -> Peer:
    """An upgraded connection by any door; tries again, as an agent does, while there is none for it."""

    def attempt() -> Peer | None:
        peer = Peer(sites.dial(port))
        try:
            peer.send(upgrade(path))
            status = peer.head().status
        except BaseException:
            peer.close()
            raise
        if status == 101:
            return peer
        peer.close()
        # 409: the balancer asked a second door when the first had gone; the place is free again soon.
        assert status in (404, 409, 502, 503), status
        return None

    peer = wait_until(attempt, path)
    assert peer is not None
    return peer


def session(port: int) -> str:
    """A whole one; returns how it went."""
    name = new_id()
    with enter(port, f"/attach/{name}/master") as client, enter(port, f"/attach/{name}/slave") as agent:
        sites.linked(client, agent)
        sending = [Thread(target=send, args=(peer, seed)) for seed, peer in enumerate((client, agent))]
        for thread in sending:
            thread.start()
        whole = [received(peer) == digest(seed) for seed, peer in enumerate((agent, client))]
        for thread in sending:
            thread.join()
        client.send(close_frame(1000, "done"))
        return f"{whole} {agent.closed()}"


GOOD = "[True, True] (1000, 'done')"
_DATA = [os.urandom(SIZE) for _ in range(2)]


def send(peer: Peer, seed: int) -> None:
    for at in range(0, SIZE, PIECE):
        peer.binary(_DATA[seed][at : at + PIECE])


def digest(seed: int) -> bytes:
    return hashlib.sha256(_DATA[seed]).digest()


def received(peer: Peer) -> bytes:
    found, left = hashlib.sha256(), SIZE
    while left:
        message = peer.frame()
        assert message.opcode in (BINARY, TEXT)
        found.update(message.payload)
        left -= len(message.payload)
    return found.digest()


@pytest.mark.parametrize(
    ("balancer", "count"), [(balancers.haproxy, 200), (balancers.nginx, 40)], ids=["haproxy", "nginx"]
)
def test_sessions_while_reflectors_are_replaced(site: Site, tmp_path: Path, balancer: Balancer, count: int) -> None:
    ports = [free_port() for _ in range(DOORS)]
    carried = 0
    with contextlib.ExitStack() as stack:
        doors = {port: start(stack, site, port) for port in ports}
        port = stack.enter_context(balancer(tmp_path, ports))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(session, port) for _ in range(count)]
            for number, replaced in enumerate(ports, 1):
                running[number * count // (DOORS + 2)].result(60)
                old = doors[replaced]
                old.signal(signal.SIGTERM)
                assert old.process.wait(2 * PATIENCE) == 0
                carried += len(old.logged("carried"))
                doors[replaced] = start(stack, site, replaced)
            outcomes = Counter(one.result(60) for one in running)
        carried += sum(len(door.logged("carried")) for door in doors.values())
    assert outcomes == {GOOD: count}
    assert carried > count // 4, "two of three agents come to another door than their client"


def start(stack: contextlib.ExitStack, site: Site, port: int) -> Reflector:
    options = ["--port", str(port), "--drain-timeout", str(PATIENCE)]
    reflector = stack.enter_context(site.reflector(*options, check=False))
    stack.callback(assert_no_errors, reflector)
    return reflector


def assert_no_errors(reflector: Reflector) -> None:
    assert [entry for entry in reflector.log if entry["level"] > 40] == []


def test_a_reflector_and_redis_are_killed_in_the_middle(site: Site, tmp_path: Path) -> None:
    """Only what went through the reflector that was killed is hurt, and that is told."""
    ports = [free_port() for _ in range(DOORS)]
    with contextlib.ExitStack() as stack:
        doors = [
            stack.enter_context(site.reflector("--port", str(port), timeouts=sites.QUICK, check=False))
            for port in ports
        ]
        pairs = {
            (at, to): stack.enter_context(sites.pair(doors[at], doors[to]))
            for at in range(DOORS)
            for to in range(DOORS)
        }
        site.redis.kill()
        sites.kill(doors[0])
        for (at, to), (client, agent) in pairs.items():
            if at == 0:
                client.until_fin()
                agent.until_fin()
            elif to == 0:
                agent.until_fin()
                assert client.closed() == (1000, "remote connection error")
            else:
                client.text("still here")
                agent.expect(TEXT, b"still here")
        site.redis.start()
        port = stack.enter_context(balancers.haproxy(tmp_path, ports))
        assert session(port) == GOOD
        lost = [entry for door in doors[1:] for entry in door.logged("session ended", outcome="lost")]
        assert [entry["reason"] for entry in lost] == ["agent: the connection ended without a Close"] * 2
