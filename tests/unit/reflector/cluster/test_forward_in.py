"""Connections that another reflector forwards, over a socket pair; the admission is the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from gevent import socket

from medusa.directory import Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import parse_request
from medusa.reflector.auth.single_use import ReservedMark
from medusa.reflector.cluster.forward_in import ForwardIn
from medusa.reflector.cluster.peer_auth import Origin, PeerAuth
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP, RAW
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.session import Side
from medusa.transports.relayed import RelayedTransport
from tests.unit.reflector.conftest import refused
from tests.waiting import MS, PATIENCE

AUTH = PeerAuth(b"a secret of a site")
TARGET = "/~carried/attach/id/slave"
CLIENT = "/~carried/attach/id/master"
FORWARDER, ORIGIN = ("192.0.2.9", 1), ("192.0.2.1", 4711)
HEAD = b"GET /attach/id/slave HTTP/1.1\r\nHost: h"
GREETING = b"ATTACH id agent"
OWNER = Owner("http://127.0.0.1:1")
RESERVED = ReservedMark("ab" * 32, "cd" * 16, 2000)
CONFIG = ReflectorConfig(timeouts=Timeouts(head_timeout=50 * MS, linger_timeout=50 * MS))


class RecordingAdmission:
    """Records what is attached; refuses with `refusal` if that is set."""

    def __init__(self) -> None:
        self.entered: list[tuple[str, SessionName, Side]] = []
        self.refusal: Refusal | None = None
        self.held_back = False
        self.refusals = RefusalLog(CONFIG, Metrics())
        self.counted: list[str | None] = []

    def count(self, source: str | None) -> None:
        self.counted.append(source)

    def enter_forwarded(
        self,
        accepted: Accepted,
        name: SessionName,
        side: Side,
        accept: Callable[[], RelayedTransport],
        reserved: ReservedMark | None,
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        assert reserved == RESERVED
        assert accepted.source == ORIGIN[0]
        self.entered.append((accepted.client, name, side))
        accept().abort()

    def hold_back(self, _: float) -> None:
        self.held_back = True


class Forwarded:
    """The forwarding reflector's end, and what this reflector has read of the connection."""

    def __init__(self) -> None:
        self.admission = RecordingAdmission()
        scratch = memoryview(bytearray(65536))
        self.forward_in = ForwardIn(AUTH, cast("Admission", self.admission), CONFIG, OWNER, scratch)
        self.peer, self.sock = socket.socketpair()
        self.peer.settimeout(PATIENCE)

    def enter(self, proof: str, rest: bytes, target: str = TARGET) -> None:
        own = b"GET %s HTTP/1.1\r\nHost: h\r\nMedusa-Carried: %s" % (target.encode(), proof.encode())
        accepted = Accepted(HTTP, self.sock, FORWARDER, head=own, rest=rest, request=parse_request(own))
        self.forward_in.enter(accepted, self._upgrade)

    def _upgrade(self) -> RelayedTransport:
        return cast("RelayedTransport", SimpleNamespace(abort=lambda: None))


def signed(kind: str, head: bytes, target: str = TARGET, owner: Owner = OWNER) -> str:
    return AUTH.sign_forward(target, head, Origin(kind, *ORIGIN), owner.address, RESERVED)


@pytest.fixture
def forwarded() -> Iterator[Forwarded]:
    forwarded = Forwarded()
    with forwarded.peer:
        yield forwarded
    forwarded.sock.close()


def test_an_agent_of_http_is_attached_as_the_peer_that_it_is(forwarded: Forwarded) -> None:
    forwarded.peer.sendall(HEAD[10:] + b"\r\n\r\nearly")
    forwarded.enter(signed(HTTP, HEAD), HEAD[:10])
    assert forwarded.admission.entered == [("192.0.2.1:4711", SessionName("id"), Side.AGENT)]


def test_an_agent_of_raw_tcp_is_attached_and_answered(forwarded: Forwarded) -> None:
    forwarded.enter(signed(RAW, GREETING), GREETING + b"\nearly")
    assert forwarded.admission.entered == [("192.0.2.1:4711", SessionName("id"), Side.AGENT)]


@pytest.mark.parametrize("kind", [HTTP, RAW])
def test_a_client_that_joins_is_attached_as_a_client(forwarded: Forwarded, kind: str) -> None:
    head, end = (HEAD, b"\r\n\r\n") if kind == HTTP else (b"MEDUSA/1 /attach/id/master h join=1", b"\n")
    forwarded.enter(signed(kind, head, CLIENT), head + end, CLIENT)
    assert forwarded.admission.entered == [("192.0.2.1:4711", SessionName("id"), Side.CLIENT)]


@pytest.mark.parametrize("secret", [False, True])
def test_an_agent_of_raw_tcp_that_is_refused_is_answered_here(forwarded: Forwarded, secret: bool) -> None:
    forwarded.admission.refusal = Refusal(409, "taken", secret=secret)
    forwarded.enter(signed(RAW, GREETING), GREETING + b"\n")
    assert forwarded.peer.recv(100) == b"ERR 409 taken\n"
    assert forwarded.peer.recv(100) == b""
    assert forwarded.admission.held_back is secret


def test_a_refusal_of_an_agent_of_http_is_the_callers_to_answer(forwarded: Forwarded) -> None:
    forwarded.admission.refusal = Refusal(409, "taken")
    with refused(409, "taken"):
        forwarded.enter(signed(HTTP, HEAD), HEAD + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("proof", "target"),
    [
        (lambda: "", TARGET),
        (lambda: signed(HTTP, HEAD + b"x"), TARGET),
        (lambda: signed(RAW, HEAD), TARGET),
        (lambda: signed(HTTP, HEAD), TARGET + "?x"),
        (lambda: signed(HTTP, HEAD), CLIENT),
        (lambda: signed(HTTP, HEAD, "/~carried/other"), "/~carried/other"),
        (lambda: signed(HTTP, HEAD, owner=Owner("http://127.0.0.1:2")), TARGET),
    ],
    ids=["none", "another head", "another kind", "another target", "another side", "no session", "another owner"],
)
def test_a_request_without_a_good_proof_finds_nothing(
    forwarded: Forwarded, proof: Callable[[], str], target: str
) -> None:
    with refused(404):
        forwarded.enter(proof(), HEAD + b"\r\n\r\n", target)
    assert forwarded.admission.entered == []
    assert len(forwarded.admission.counted) == 1, "it counts against the limit of connects"


@pytest.mark.parametrize(("kind", "head"), [(HTTP, HEAD), (RAW, GREETING)])
def test_a_peers_own_request_has_to_follow_in_time(forwarded: Forwarded, kind: str, head: bytes) -> None:
    with pytest.raises(HandshakeError):
        forwarded.enter(signed(kind, head), head[:10])


def test_a_forwarder_that_has_given_up_does_not_take_the_agents_place(forwarded: Forwarded) -> None:
    forwarded.peer.shutdown(socket.SHUT_WR)
    with pytest.raises(HandshakeError, match="given up"):
        forwarded.enter(signed(HTTP, HEAD), HEAD + b"\r\n\r\n")
    assert forwarded.admission.entered == []
