"""Many sessions at once, which end at random moments in all possible ways: nothing is left."""

from __future__ import annotations

import contextlib
import random
import select
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.links import CERTIFICATE
from tests.peers import BINARY, PING, TEXT, Peer, close_frame, frame, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.waiting import PATIENCE, wait_until
from tests.witnesses import Witness

SESSIONS = 200

# Short times, so that pulses, pings and timeouts coincide with everything else.
QUICK = {
    "wait_interval": 0.003,
    "close_timeout": 0.2,
    "head_timeout": 0.5,
    "linger_timeout": 0.2,
}

ENDS: list[Callable[[Peer], None]] = [
    Peer.close,
    Peer.reset,
    Peer.fin,
    lambda peer: peer.send(close_frame(1000, "enough")),
    lambda peer: peer.send(frame(3)),
    lambda peer: peer.send(frame(BINARY, bytes(100_000))[:70_000]),
    lambda peer: peer.send(close_frame(1000, "enough") + b"and more"),
]


OPTIONS = ("--keepalive", "1", "--wait-timeout", "0.5")
TLS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))


@pytest.fixture(params=[(), ("--workers", "3"), ("--workers", "2", *TLS)], ids=["one", "workers", "tls"])
def reflector(request: pytest.FixtureRequest) -> Iterator[Reflector]:
    with running(*OPTIONS, *request.param, timeouts={} if request.param else QUICK) as reflector:
        yield reflector


class Storm:
    """Peers of one reflector. They read everything until they are ended; some do not close their socket at once."""

    def __init__(self, reflector: Reflector) -> None:
        self.rng = random.Random(1)
        self.alive: list[Peer] = []
        self.ended: list[Peer] = []
        self._reflector = reflector

    def connect(self, data: bytes, wait: bool) -> None:
        peer = self._reflector.open(data if wait or self.rng.random() < 0.9 else data[:10])
        self.alive.append(peer)
        if wait:
            peer.head()

    def read(self) -> None:
        readable, _, _ = select.select([peer.sock for peer in self.alive], [], [], 0)
        for sock in readable:
            with contextlib.suppress(OSError):
                sock.setblocking(False)  # what has come may be a ticket of TLS, which is no data
                sock.recv(1 << 16)
            sock.settimeout(PATIENCE)

    def say_something(self) -> None:
        peer = self.rng.choice(self.alive)
        data = frame(self.rng.choice((TEXT, BINARY, PING)), b"x" * self.rng.choice((0, 1, 100)))
        with contextlib.suppress(OSError):
            peer.send(data[: self.rng.choice((3, len(data)))])

    def end_something(self) -> None:
        peer = self.alive.pop(self.rng.randrange(len(self.alive)))
        self.ended.append(peer)
        with contextlib.suppress(OSError):
            self.rng.choice(ENDS)(peer)

    def close(self) -> None:
        for peer in self.alive + self.ended:
            peer.close()


def test_a_storm(reflector: Reflector) -> None:
    before = reflector.descriptors()
    with contextlib.closing(Storm(reflector)) as storm:
        todo = []
        for at in range(SESSIONS):  # mostly the client comes first; some peers come twice, some too late
            session, soon = new_id(), storm.rng.randrange(1, 15)
            todo += [(at, session, "master"), (at + soon, session, "slave")]
            todo += [(at + storm.rng.randrange(30), session, role) for role in ("master", "slave")]
        for _, session, role in sorted(todo):
            data = upgrade(f"/attach/{session}/{role}") + frame(TEXT, b"early")
            storm.connect(data, role == "master" and storm.rng.random() < 0.9)
            storm.say_something()
            storm.read()
            if storm.rng.random() < 0.4:
                storm.end_something()
        while storm.alive:
            storm.end_something()
            storm.read()
    wait_until(lambda: not reflector.sessions(), "the end of all sessions")
    wait_until(lambda: reflector.descriptors() <= before, "the end of all connections")
    outcomes = Counter(entry["outcome"] for entry in reflector.logged("session ended"))
    assert sum(outcomes.values()) == len(reflector.logged("session started")) > SESSIONS
    assert {"completed", "lonely", "lost", "ended"} <= set(outcomes), outcomes
    with reflector.pair() as (client, agent):
        Witness(client, agent).check()
