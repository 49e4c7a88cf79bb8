"""An agent's connection is forwarded to an owner that the test plays, over real sockets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from medusa.directory import Owner
from medusa.protocol.http.head import parse_request
from medusa.reflector.auth.single_use import ReservedMark
from medusa.reflector.cluster.forward_out import ForwardOut
from medusa.reflector.cluster.peer_auth import Origin, PeerAuth
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.metrics import Metrics
from medusa.reflector.net import fd_limit
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP, RAW
from medusa.reflector.relay.budget import Budget
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.session_name import SessionName
from medusa.session import Side
from tests.unit.reflector.conftest import refused
from tests.waiting import MS, PATIENCE

AUTH = PeerAuth(b"a secret of a site")
NAME = SessionName("id")
RESERVED = ReservedMark("ab" * 32, "cd" * 16, 2000)
ADDRESS = ("192.0.2.1", 4711)
HEAD = b"GET /attach/id/slave HTTP/1.1\r\nHost: h"
GREETING = b"ATTACH id agent"


class Site:
    """The agent's end of a connection that was accepted here, and the owner's listening socket.

    Args:
        answer_timeout: how long the owner may take to answer.
    """

    def __init__(self, queue: FairQueue, answer_timeout: float) -> None:
        self.timeouts = Timeouts(
            connect_timeout=PATIENCE, forward_answer_timeout=answer_timeout, linger_timeout=50 * MS
        )
        config = ReflectorConfig(timeouts=self.timeouts)
        self.forward_out = ForwardOut(config, AUTH, queue, Budget(), RefusalLog(config, Metrics()))
        self.agent, self._sock = socket.socketpair()
        self.listener = socket.socket()  # not create_server, which is the standard library's: it blocks the loop
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.owner = Owner("http://127.0.0.1:%d" % self.listener.getsockname()[1])
        self.agent.settimeout(PATIENCE)

    def accepted(self, kind: str = HTTP) -> Accepted:
        head, end = (HEAD, b"\r\n\r\n") if kind == HTTP else (GREETING, b"\n")
        return Accepted(kind, self._sock, ADDRESS, data=head + end + b"early", head=head, plain=kind == RAW)

    def forward(self, kind: str = HTTP) -> Any:
        return gevent.spawn(self.forward_out.forward, self.accepted(kind), self.owner, NAME, Side.AGENT, RESERVED)

    def close(self) -> None:
        self.forward_out.stop()
        for sock in (self.agent, self._sock, self.listener):
            sock.close()


@pytest.fixture
def site(queue: FairQueue, request: pytest.FixtureRequest) -> Iterator[Site]:
    with contextlib.closing(Site(queue, getattr(request, "param", PATIENCE))) as site:
        yield site


@contextlib.contextmanager
def owner_of(site: Site) -> Iterator[tuple[Any, bytes]]:
    """The owner's end of the forwarded connection, and all that was read of it."""
    sock, _ = site.listener.accept()
    with sock:
        sock.settimeout(PATIENCE)
        data = b""
        while not data.endswith(b"early"):
            data += sock.recv(4096)
        yield sock, data


@pytest.mark.parametrize(("kind", "answer"), [(HTTP, b"HTTP/1.1 101 Switching\r\n\r\n"), (RAW, b"OK\n")])
def test_an_agent_that_the_owner_accepts(site: Site, kind: str, answer: bytes) -> None:
    forwarding = site.forward(kind)
    with owner_of(site) as (owner, data):
        head, _, rest = data.partition(b"\r\n\r\n")
        own = parse_request(head)
        proof = own.headers.get("medusa-carried") or ""
        assert own.target == "/~carried/attach/id/slave"
        assert AUTH.read_forward(proof) == (Origin(kind, *ADDRESS), RESERVED)
        AUTH.check_forward(proof, own.target, HEAD if kind == HTTP else GREETING, site.owner.address)
        assert rest == site.accepted(kind).data
        owner.sendall(answer + b"and more")
        assert forwarding.get(timeout=PATIENCE) is None
        assert len(site.forward_out) == 1
        assert site.agent.recv(100) == answer + b"and more"
        site.agent.sendall(b"to the owner")
        assert owner.recv(100) == b"to the owner"
        site.agent.close()
        assert owner.recv(100) == b""
    site.forward_out.wait_until_empty(PATIENCE)
    assert len(site.forward_out) == 0


def test_an_agent_leaves_the_reserve_of_descriptors(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fd_limit, "first_reserved", lambda: 0)
    with refused(503, retry_after=5):
        site.forward().get(timeout=PATIENCE)
    with contextlib.closing(site.forward_out.connect(site.owner.address)):
        pass  # a question to another reflector may use it


@pytest.mark.parametrize(("kind", "answer"), [(HTTP, b"HTTP/1.1 409 Conflict\r\n\r\n"), (RAW, b"ERR 409 taken\n")])
def test_an_agent_that_the_owner_refuses_gets_the_owners_answer(site: Site, kind: str, answer: bytes) -> None:
    forwarding = site.forward(kind)
    with owner_of(site) as (owner, _):
        for at in range(len(answer)):
            owner.sendall(answer[at : at + 1])
            gevent.sleep(0)
        owner.shutdown(socket.SHUT_WR)
        refused = forwarding.get(timeout=PATIENCE)
    assert (refused.status, refused.words) == (409, f"refused by {site.owner.address}")
    assert site.agent.recv(100) == answer
    assert site.agent.recv(100) == b"", "it is no link, and its connection is closed"


@pytest.mark.parametrize(
    ("site", "answer"),
    [(100 * MS, None), *((PATIENCE, answer) for answer in (b"", b"HTTP/1.1 4", b"SSH-2.0-OpenSSH_9.6\r\n"))],
    indirect=["site"],
)
def test_an_owner_that_gives_no_answer_is_reported_and_the_agent_gets_nothing(site: Site, answer: bytes | None) -> None:
    """None: it is silent; else it says so much and hangs up."""
    forwarding = site.forward()
    with owner_of(site) as (owner, _):
        if answer is not None:
            owner.sendall(answer)
            owner.shutdown(socket.SHUT_WR)
        with refused(503, retry_after=5):
            forwarding.get(timeout=PATIENCE)
    site.agent.settimeout(20 * MS)
    with pytest.raises(TimeoutError):
        site.agent.recv(100)
    assert len(site.forward_out) == 0


def test_an_owner_that_cannot_be_reached(site: Site) -> None:
    site.listener.close()
    with refused(503, retry_after=5):
        site.forward().get(timeout=PATIENCE)


def test_nothing_is_forwarded_after_the_wait_for_its_end(site: Site) -> None:
    """It would be cut off at once. So the peer tries another reflector."""
    site.forward_out.wait_until_empty(PATIENCE)
    with refused(503, retry_after=1):
        site.forward().get(timeout=PATIENCE)


@pytest.mark.parametrize("early", [True, False])
def test_nothing_is_forwarded_right_before_the_end_of_a_drain(site: Site, early: bool) -> None:
    """The owner could not end the session in time. So the peer tries another reflector."""
    left = site.forward_out._timeouts.close_timeout
    site.forward_out.drain(time.monotonic() + (left + PATIENCE if early else left))
    forwarding = site.forward()
    if early:
        with owner_of(site) as (owner, _):
            owner.sendall(b"HTTP/1.1 101 Switching\r\n\r\n")
            assert forwarding.get(timeout=PATIENCE) is None
    else:
        with refused(503, retry_after=1):
            forwarding.get(timeout=PATIENCE)


def test_the_wait_for_the_end_goes_on_if_the_next_peer_is_forwarded_at_once(site: Site) -> None:
    forwarding = site.forward()
    gevent.sleep(0)
    waiting = gevent.spawn(site.forward_out.wait_until_empty, PATIENCE)
    gevent.sleep(0)
    site.forward_out._empty.set()  # as if another peer had left for a moment before this one came
    with owner_of(site) as (owner, _):
        owner.sendall(b"HTTP/1.1 101 Switching\r\n\r\n")
        forwarding.get(timeout=PATIENCE)
        assert not waiting.ready()
        site.agent.close()
        assert owner.recv(100) == b""
    waiting.get(timeout=PATIENCE)


def test_stop_ends_what_is_forwarded(site: Site) -> None:
    forwarding = site.forward()
    with owner_of(site) as (owner, _):
        owner.sendall(b"HTTP/1.1 101 Switching\r\n\r\n")
        forwarding.get(timeout=PATIENCE)
        site.forward_out.stop()
        assert owner.recv(100) == b""
    assert site.agent.recv(100).startswith(b"HTTP/1.1 101")
    assert site.agent.recv(100) == b""


@pytest.mark.parametrize("tells", [True, False])
def test_the_owner_is_told_of_a_drain_and_its_end_of_the_session_is_waited_for(site: Site, tells: bool) -> None:
    told: list[tuple[Owner, SessionName, str]] = []

    def announce(owner: Owner, name: SessionName, peer: str, left: float) -> bool:
        assert left <= 30
        told.append((owner, name, peer))
        return tells

    site.forward_out.announce_drain = announce
    forwarding = site.forward()
    with owner_of(site) as (owner, _):
        owner.sendall(b"HTTP/1.1 101 Switching\r\n\r\n")
        forwarding.get(timeout=PATIENCE)
        site.forward_out.drain(time.monotonic() + 30)
        waiting = gevent.spawn(site.forward_out.wait_until_empty, 10 * MS, PATIENCE)
        if tells:
            owner.shutdown(socket.SHUT_WR)
            site.agent.recv(100)
            site.agent.close()
        waiting.get(timeout=PATIENCE)
        assert len(site.forward_out) == (0 if tells else 1)
    assert told == [(site.owner, NAME, "192.0.2.1:4711")]
