"""Answers of other reflectors, and none. tests/integration/test_site_sessions.py has real reflectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from medusa.directory import Directory, Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.admin.lists.cursor import mark
from medusa.reflector.admin.lists.pages import Entry, Part, Query
from medusa.reflector.cluster.peer_auth import PeerAuth
from medusa.reflector.cluster.query_client import QueryClient
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.session_name import SessionName
from tests.unit.reflector.conftest import refused
from tests.unit.reflector.registries import new_registry

HERE, THERE, BEYOND = Owner("http://127.0.0.1:1"), Owner("http://127.0.0.1:2"), Owner("http://127.0.0.1:3")
EVERYTHING = Query()
ENTRY = {"id": "1", "login": "alice", "created": 5.0, "owner": "http://elsewhere.example"}


class Sock:
    """A connection to an owner that sends these pieces, and then hangs up."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.sent = b""
        self.closed = False

    def settimeout(self, timeout: float) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        self.closed = True


def response(body: bytes, status: str = "200 OK", length: int | None = None) -> list[bytes]:
    """In small pieces."""
    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body) if length is None else length)
    return [(head + body)[at : at + 50] for at in range(0, len(head + body), 50)]


class Shared(MemoryDirectory):
    """With leases on addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses = MemoryDirectory()

    def leases(self) -> Directory:
        return self.addresses


class Site:
    """A directory with two owners' sessions, and connections to these owners."""

    def __init__(self, there: Callable[[], Iterator[bytes]], timeout: float = 5.0) -> None:
        self.directory = directory = Shared()
        directory.addresses.claim(THERE.address, THERE)
        self.beyond = directory.addresses.claim(BEYOND.address, BEYOND)
        directory.claim("~alice/1", THERE)
        directory.claim("a/2", THERE)
        directory.claim("3", BEYOND)
        directory.claim("4", HERE)
        self._there = there
        self.socks: dict[str, list[Sock]] = {}
        registry = new_registry(ReflectorConfig(), directory, HERE)
        self.client = QueryClient(PeerAuth(b"a secret of a site"), registry, self._connect, timeout)

    def entries(self, query: Query = EVERYTHING) -> list[Entry]:
        """All sessions of the others, as one page shows them."""
        silent = dict[str, str]()
        found, upto = self.client.part(lambda _: Part([]), query, silent, True)
        rows, row = self.client.rows(query, silent, "")
        assert (upto, row) == (None, "")
        return found + rows

    def _connect(self, address: str) -> Any:
        if address != THERE.address:
            raise ConnectionRefusedError(111, "Connection refused")
        sock = Sock(self._there())
        self.socks.setdefault(address, []).append(sock)
        return sock


def site_with(answer: list[bytes]) -> Site:
    return Site(lambda: iter(answer))


def listing(*entries: object) -> list[bytes]:
    return response(json.dumps({"sessions": entries}).encode())


def test_each_owner_is_asked_once() -> None:
    site = site_with(listing(ENTRY, {**ENTRY, "id": "a/2", "login": None}))
    assert sorted(site.entries(), key=lambda entry: str(entry["id"])) == [
        {**ENTRY, "owner": THERE.address},
        {"id": "3", "login": None, "owner": BEYOND.address, "error": "Connection refused"},
        {**ENTRY, "id": "a/2", "login": None, "owner": THERE.address},
    ]
    (sock,) = site.socks[THERE.address]
    assert sock.sent.startswith(b"GET /~carried/sessions?limit=3334 HTTP/1.1\r\nHost: 127.0.0.1:2\r\nMedusa-Asks: 1 ")
    assert sock.closed


NONE = "not the answer of a reflector of this site"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([], "it has hung up"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n\r\n\r\n\r\n"], "not an HTTP response"),
        ([b"x" * 20000], "head above"),
        (response(b"", "404 Not Found"), "it refuses, with HTTP status 404"),
        (response(b'{"sessions": [', length=1000), "it has hung up"),
        (response(b'{"sessions": [', length=14), "Expecting value"),
        (response(b"\xff"), "decode"),
        (response(b"[" * 100_000), "recursion"),
        (response(b"[]"), NONE),
        (response(b"{}"), NONE),
        (response(b'{"sessions": {}}'), NONE),
        (listing("x"), NONE),
        (listing({**ENTRY, "id": 1}), NONE),
        (listing({**ENTRY, "login": 1}), NONE),
        (listing({"id": "1", "created": 5.0}), NONE),
        (listing({**ENTRY, "created": "now"}), NONE),
        (response(b"", length=17 << 20), "an answer above 16777216 bytes"),
    ],
)
def test_an_answer_that_cannot_be_used(answer: list[bytes], why: str) -> None:
    site = site_with(answer)
    found = {entry["id"]: entry for entry in site.entries()}
    assert found.keys() == {"1", "a/2", "3"}
    assert found["1"] == {"id": "1", "login": "alice", "owner": THERE.address, "error": found["1"]["error"]}
    assert why in found["1"]["error"]
    assert all(sock.closed for sock in site.socks[THERE.address])


def test_an_owner_that_is_silent() -> None:
    def nothing() -> Iterator[bytes]:
        gevent.sleep(60)
        yield b""

    site = Site(nothing, timeout=0.05)
    assert "no whole answer in 0.05 s" in [entry["error"] for entry in site.entries()]
    with refused(503, "does not answer: no whole answer", retry_after=5):
        site.client.kill(SessionName("1", "alice"))
    assert all(sock.closed for sock in site.socks[THERE.address])


@pytest.mark.parametrize("killed", [True, False])
def test_a_session_is_ended_by_its_owner(killed: bool) -> None:
    site = site_with(response(json.dumps({"killed": killed}).encode()))
    assert site.client.kill(SessionName("1", "alice")) is killed
    assert site.client.kill(SessionName("a/2")) is killed
    one, two = site.socks[THERE.address]
    assert one.sent.startswith(b"DELETE /~carried/sessions/alice/1 HTTP/1.1\r\n")
    assert two.sent.startswith(b"DELETE /~carried/sessions/a%2F2 HTTP/1.1\r\n")


def test_a_session_that_does_not_exist_or_cannot_be_reached_is_not_ended() -> None:
    site = site_with([])
    assert not site.client.kill(SessionName("1")), "it is alice's"
    assert not site.client.kill(SessionName("4")), "nobody has it but this reflector"
    assert site.socks == {}
    for name in (SessionName("1", "alice"), SessionName("3")):
        with refused(503, retry_after=5):
            site.client.kill(name)


def test_an_address_that_is_no_url() -> None:
    registry = new_registry(ReflectorConfig(), directory := Shared(), HERE)
    wrong = Owner("http://[::1:x")
    directory.addresses.claim(wrong.address, wrong)
    directory.claim("1", wrong)
    client, silent = (
        QueryClient(PeerAuth(b"a secret of a site"), registry, lambda _: pytest.fail("asked"), 5.0),
        dict[str, str](),
    )
    assert client.part(lambda _: Part([]), EVERYTHING, silent, True) == Part([])
    ((entry,), _) = client.rows(EVERYTHING, silent, "")
    assert "error" in entry


def test_the_sessions_of_one_login() -> None:
    site = site_with(listing(ENTRY, {**ENTRY, "id": "a/2", "login": None}))  # an older reflector answers with all
    assert [entry["id"] for entry in site.entries(Query("alice"))] == ["1"]
    (sock,) = site.socks[THERE.address]
    assert sock.sent.startswith(b"GET /~carried/sessions?login=alice&limit=3334 HTTP/1.1\r\n")
    assert site.entries(Query("bob")) == []


def test_a_part_of_the_sessions() -> None:
    site = site_with(response(json.dumps({"sessions": [ENTRY], "upto": "alice/1"}).encode()))
    part = site.client.part(lambda _: Part([]), Query("alice", "1", "alice/0", 1), {}, True)
    assert part == Part([{**ENTRY, "owner": THERE.address}], "alice/1")
    (sock,) = site.socks[THERE.address]
    assert b"sessions?login=alice&id=1&after=alice%2F0&limit=1 " in sock.sent


@pytest.mark.parametrize("upto", ["", "alice/0", 1])
def test_an_answer_that_would_be_asked_for_again_and_again(upto: object) -> None:
    site = site_with(response(json.dumps({"sessions": [], "upto": upto}).encode()))
    silent = dict[str, str]()
    assert site.client.part(lambda _: Part([]), Query(after="alice/0"), silent, True) == Part([])
    assert silent[mark(THERE.address)] == NONE


def test_a_reflector_that_did_not_answer_is_not_asked_again() -> None:
    site = site_with(listing(ENTRY))
    silent = {mark(owner.address): "no answer" for owner in (THERE, BEYOND)}
    assert site.client.part(lambda _: Part([]), EVERYTHING, silent, True) == Part([])
    assert site.socks == {}
    rows, _ = site.client.rows(Query(prefix="a"), silent, "")
    assert rows == [{"id": "a/2", "login": None, "owner": THERE.address, "error": "no answer"}]
    assert site.client.row(SessionName("3")) == {
        "id": "3",
        "login": None,
        "owner": BEYOND.address,
        "error": "no answer",
    }
    assert site.client.row(SessionName("4")) is None


def test_a_row_of_a_reflector_without_a_lease() -> None:
    registry = new_registry(ReflectorConfig(), directory := Shared(), HERE)
    directory.claim("1", THERE)
    client = QueryClient(PeerAuth(b"a secret of a site"), registry, lambda _: pytest.fail("asked"), 5.0)
    ((entry,), _) = client.rows(EVERYTHING, {}, "")
    assert "no lease" in entry["error"]


def scans(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """With what the names begin that the directory is searched for, from now on."""
    asked, scan = list[str](), directory.scan

    def counting(cursor: str = "", begin: str = "") -> Any:
        asked.append(begin)
        return scan(cursor, begin)

    monkeypatch.setattr(directory, "scan", counting)
    return asked


def test_no_rows_are_read_for_the_list_of_a_user_while_all_reflectors_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_with(listing(ENTRY))
    site.directory.addresses.release(site.beyond)
    asked = scans(site.directory, monkeypatch)
    assert [entry["id"] for entry in site.entries(Query("alice"))] == ["1"]
    assert asked == []
    assert len(site.entries()) > 1
    assert asked == [""]


def test_the_list_of_a_user_has_the_sessions_of_a_silent_reflector(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_with([])
    asked = scans(site.directory, monkeypatch)
    for query in (Query("alice"), Query("alice", "1")):
        assert [(entry["id"], entry["error"]) for entry in site.entries(query)] == [("1", "it has hung up")]
    assert site.entries(Query("alice", "2")) == site.entries(Query("bob")) == []
    assert asked == ["~alice/", "~alice/1", "~alice/2", "~bob/"]


def test_the_rows_of_a_page_that_another_reflector_has_begun() -> None:
    site = site_with([])
    silent = {mark(BEYOND.address): "no answer"}
    assert [(entry["id"], entry["error"]) for entry in site.client.rows(EVERYTHING, silent, "")[0]] == [
        ("3", "no answer")
    ], "the one that has answered has no such row"


def test_too_many_reflectors_do_not_answer() -> None:
    site = site_with([])
    with refused(503, "more than 128 reflectors", retry_after=5):
        site.client.part(lambda _: Part([]), EVERYTHING, dict.fromkeys(map(str, range(128)), ""), True)
