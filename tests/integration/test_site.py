"""Three reflectors behind a load balancer: both ends of a session reach any of them, while reflectors come and go."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

from tests import sites
from tests.peers import BINARY, TEXT, Peer, close_frame, upgrade
from tests.ports import free_port
from tests.proxies import balancer
from tests.reflectors import Reflector, new_id
from tests.sites import Site
from tests.waiting import PATIENCE, wait_until

CONCURRENCY = 8
SIZE = 1 << 20
PIECE = 64 * 1024
REFLECTORS = 3


def enter(port: int, path: str) -> Peer:
    """An upgraded connection to any reflector. Tries again, as an agent does, until one accepts it."""

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
        # 409: the balancer tried a second reflector after the first had gone; the place is soon free again.
        assert status in (404, 409, 502, 503), status
        return None

    peer = wait_until(attempt, path)
    assert peer is not None
    return peer


def session(port: int) -> str:
    """Runs a whole session; returns how it went."""
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


def test_sessions_while_reflectors_are_replaced(own_site: Site, tmp_path: Path) -> None:
    count = 120
    ports = [free_port() for _ in range(REFLECTORS)]
    forwarded = 0
    with contextlib.ExitStack() as stack:
        running = {port: start(stack, own_site, port) for port in ports}
        port = stack.enter_context(balancer(tmp_path, ports))
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            submitted = [pool.submit(session, port) for _ in range(count)]
            for number, replaced in enumerate(ports, 1):
                submitted[number * count // (REFLECTORS + 2)].result(PATIENCE)
                old = running[replaced]
                old.signal(signal.SIGTERM)
                assert old.process.wait(2 * PATIENCE) == 0
                forwarded += len(old.logged("carried"))
                running[replaced] = start(stack, own_site, replaced)
            outcomes = Counter(one.result(PATIENCE) for one in submitted)
        forwarded += sum(len(one.logged("carried")) for one in running.values())
    assert outcomes == {GOOD: count}
    assert forwarded > count // 4, "two of three agents reach another reflector than their client"


def start(stack: contextlib.ExitStack, own_site: Site, port: int) -> Reflector:
    options = ["--port", str(port), "--drain-timeout", str(PATIENCE)]
    reflector = stack.enter_context(own_site.reflector(*options, check=False))
    stack.callback(assert_no_errors, reflector)
    return reflector


def assert_no_errors(reflector: Reflector) -> None:
    assert [entry for entry in reflector.log if entry["level"] > 40] == []


def test_a_reflector_and_redis_are_killed_in_the_middle(own_site: Site, tmp_path: Path) -> None:
    """Only sessions through the killed reflector are lost, and their other ends get a reason."""
    ports = [free_port() for _ in range(REFLECTORS)]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(own_site.reflector("--port", str(port), timeouts=sites.QUICK, check=False))
            for port in ports
        ]
        pairs = {
            (at, to): stack.enter_context(sites.pair(running[at], running[to]))
            for at in range(REFLECTORS)
            for to in range(REFLECTORS)
        }
        own_site.redis.kill()
        sites.kill(running[0])
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
        own_site.redis.start()
        port = stack.enter_context(balancer(tmp_path, ports))
        assert session(port) == GOOD
        lost = [entry for one in running[1:] for entry in one.logged("session ended", outcome="lost")]
        assert [entry["reason"] for entry in lost] == ["agent: the connection ended without a Close"] * 2
