"""Accepted connections for the fronts: gevent's end of a real socket pair, and the peer's end.

Each test runs with both kinds of sockets: that of a connection which this worker has accepted, and gevent's, which a
connection from another worker has.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import gevent.socket
import pytest

from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.doorkeeper import Doorkeeper
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.sockets import AcceptedSocket
from medusa.reflector.session_name import SessionName
from medusa.session import Side
from tests.unit.reflector.registries import Parts, registry_parts
from tests.waiting import PATIENCE

ADDRESS = ("127.0.0.1", 4711)
CONFIG = ReflectorConfig(timeouts=Timeouts(head_timeout=0.05, linger_timeout=0.05, refusal_delay=0.0))


class Taker:
    """Stands for the other workers: takes every connection, if it is to."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, SessionName, Side]] = []
        self.takes = True

    def hand_over(self, accepted: Accepted, name: SessionName, side: Side) -> bool:
        if self.takes:
            self.taken.append((accepted.data, name, side))
            accepted.take().close()
        return self.takes


@dataclass
class Bench:
    """What both fronts are made of, and one connection."""

    parts: Parts
    admission: Admission
    doorkeeper: Doorkeeper
    peer: socket.socket
    sock: AcceptedSocket | gevent.socket.socket
    workers: Taker

    @property
    def metrics(self) -> Metrics:
        return self.parts.metrics

    def received(self) -> bytes:
        """All that the peer gets, up to the end of the stream."""
        return b"".join(iter(lambda: self.peer.recv(65536), b""))


@pytest.fixture(params=["accepted", "gevent"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    parts = registry_parts(CONFIG)
    refusals = RefusalLog(CONFIG, parts.metrics)
    admission = Admission(CONFIG, parts.registry, None, claims=parts.claims, refusals=refusals)
    doorkeeper = Doorkeeper(CONFIG, parts.metrics, refusals, parts.registry.budget)
    peer, accepted = socket.socketpair()
    peer.settimeout(PATIENCE)
    accepted.setblocking(False)
    own = request.param == "accepted"
    sock = AcceptedSocket(accepted) if own else gevent.socket.socket(fileno=accepted.detach())
    with peer, contextlib.closing(sock):
        yield Bench(parts, admission, doorkeeper, peer, sock, Taker())
        for session in parts.registry.sessions():
            parts.registry.forget(session)
