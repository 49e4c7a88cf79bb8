"""Questions about sessions are answered once, and to reflectors of the site only."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from medusa.directory import DirectoryError, Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import parse_request
from medusa.reflector.admin.lists.pages import Part, Query
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.cluster.peer_auth import PeerAuth
from medusa.reflector.cluster.query_server import QueryServer
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.listen import HTTP
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.marks import Marks
from tests.links import unix_pair
from tests.unit.reflector.conftest import refused

OWNER = Owner("http://127.0.0.1:1")
AUTH = PeerAuth(b"a secret of a site")
REFUSALS = RefusalLog(ReflectorConfig(), Metrics())
ADMISSION = cast("Admission", SimpleNamespace(count=lambda _: None, refusals=REFUSALS))
TARGET = "/~carried/sessions"


class Sessions:
    """Stands for the claims and for the session list."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.directory_is_away = False

    def spend(self, mark: str, _: float) -> bool:
        if self.directory_is_away:
            raise DirectoryError("away")
        fresh = mark not in self.used
        self.used.add(mark)
        return fresh

    def here(self, query: Query) -> Part:
        return Part([{"id": "1", "login": query.login}], f"{query.after}{query.limit}" if query.after else None)

    def kill_here(self, name: SessionName) -> bool:
        return name == SessionName("1", "alice")

    def drain_here(self, name: SessionName, left: float, peer: str) -> bool:
        return (name, left) == (SessionName("1", "alice"), 29.5) and peer in ("", "[2001:db8::1]:5")


class Asker:
    """Another reflector, and its connection."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self.server = QueryServer(
            AUTH, cast("Marks", self.sessions), cast("SessionList", self.sessions), OWNER, ADMISSION
        )
        self.sock, self.accepted = unix_pair()

    def question(self, method: str, target: str = TARGET, proof: str | None = None, sent: str = "") -> Accepted:
        proof = AUTH.sign_question(method, target, OWNER.address) if proof is None else proof
        request = parse_request(f"{sent or method} {target} HTTP/1.1\r\nHost: h\r\nMedusa-Asks: {proof}".encode())
        return Accepted(HTTP, self.accepted, ("192.0.2.1", 1), request=request)


@pytest.fixture
def asker() -> Iterator[Asker]:
    asker = Asker()
    with asker.sock, asker.accepted:
        yield asker


def test_the_sessions(asker: Asker) -> None:
    for query, login in (("", None), ("?login=alice", "alice"), ("?login=", "")):
        answer = asker.server.sessions(asker.question("GET", TARGET + query))
        assert json.loads(answer[2]) == {"sessions": [{"id": "1", "login": login}]}


def test_a_part_of_the_sessions(asker: Asker) -> None:
    answer = asker.server.sessions(asker.question("GET", TARGET + "?login=&after=%2F0&limit=3"))
    assert json.loads(answer[2]) == {"sessions": [{"id": "1", "login": ""}], "upto": "/03"}
    for query in ("?limit=0", "?limit=x", "?login=%2F"):
        with pytest.raises(HandshakeError, match="malformed"):
            asker.server.sessions(asker.question("GET", TARGET + query))


@pytest.mark.parametrize(("login", "killed"), [("alice", True), (None, False)])
def test_the_end_of_a_session(asker: Asker, login: str | None, killed: bool) -> None:
    answer = asker.server.session(asker.question("DELETE", TARGET + "/alice/1"), login, "1")
    assert json.loads(answer[2]) == {"killed": killed}


@pytest.mark.parametrize("peer", ["", "&peer=%5B2001%3Adb8%3A%3A1%5D%3A5"])
@pytest.mark.parametrize(("login", "told"), [("alice", True), (None, False)])
def test_a_reflector_that_stops_to_forward_to_a_session(asker: Asker, login: str | None, told: bool, peer: str) -> None:
    question = asker.question("POST", "/~carried/drains/alice/1?left=29.500" + peer)
    assert json.loads(asker.server.drain(question, login, "1")[2]) == {"told": told}


@pytest.mark.parametrize(
    "query", ["", "?left=", "?left=-1", "?left=nan", "?left=1&left=2", "?left=1e9", "?left=9999999999", "?left=1&peer="]
)
def test_a_time_that_is_none(asker: Asker, query: str) -> None:
    with pytest.raises(HandshakeError, match="left=SECONDS"):
        asker.server.drain(asker.question("POST", "/~carried/drains/1" + query), None, "1")


def test_a_question_is_answered_once(asker: Asker) -> None:
    question = asker.question("GET")
    asker.server.sessions(question)
    with refused(404):
        asker.server.sessions(question)


@pytest.mark.parametrize(
    ("proof", "sent"),
    [("", "GET"), (PeerAuth(b"of another site").sign_question("GET", TARGET, OWNER.address), "GET"), (None, "HEAD")],
)
def test_a_question_of_nobody_in_the_site_is_not_answered(asker: Asker, proof: str | None, sent: str) -> None:
    with refused(404):
        asker.server.sessions(asker.question("GET", proof=proof, sent=sent))
    assert asker.sessions.used == set()


def test_while_the_directory_is_away(asker: Asker) -> None:
    asker.sessions.directory_is_away = True
    with refused(503, retry_after=5):
        asker.server.sessions(asker.question("GET"))


def test_an_asker_that_has_given_up(asker: Asker) -> None:
    asker.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(HandshakeError, match="given up"):
        asker.server.session(asker.question("DELETE", TARGET + "/alice/1"), "alice", "1")
