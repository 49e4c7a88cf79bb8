"""What one worker does with the others, as far as it takes no second process."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import parse_request
from medusa.reflector.config import Timeouts
from medusa.reflector.fronts.http_front import Handler
from medusa.reflector.net.listen import HTTP
from medusa.reflector.session_name import SessionName
from medusa.reflector.workers import handoff as module
from medusa.reflector.workers.fd_channel import collect, mailbox, post
from medusa.reflector.workers.handoff import Colleagues
from medusa.reflector.workers.letters import STATUS, Letter, pack
from medusa.reflector.workers.sharding import KEY_SIZE, owner_of
from tests.links import unix_pair
from tests.waiting import MS, wait_until

KEY = bytes(KEY_SIZE)
ADDRESS = ("192.0.2.1", 4711)
NAMES = [SessionName(f"job-{number}") for number in range(100)]


class Office:
    """Two workers' mailboxes; the first worker is there, of the second there is nothing else."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.first, self.second = mailbox(), mailbox()
        self.worker = Colleagues(1, KEY, self.first[0], {2: self.second[1]}, 60.0, timeouts)
        self.worker.entries = lambda: [{"id": "mine", "create_time": 2}]
        self.reading: Any = None

    def start(self) -> None:
        self.reading = gevent.spawn(self.worker._read_forever)

    def close(self) -> None:
        if self.reading is not None:
            self.reading.kill()
        for end in (*self.first, *self.second):
            with contextlib.suppress(OSError), end:
                while end is not self.first[1] and end is not self.second[1]:
                    os.close(collect(end)[1])


@pytest.fixture
def office() -> Iterator[Office]:
    with contextlib.closing(Office(Timeouts(handoff_timeout=50 * MS, status_timeout=50 * MS))) as office:
        yield office


@pytest.fixture
def patient_office() -> Iterator[Office]:
    with contextlib.closing(Office(Timeouts(handoff_timeout=10.0, status_timeout=10.0))) as office:
        yield office


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The peer's end, and what was accepted."""
    peer, accepted = unix_pair()
    with peer, accepted:
        peer.settimeout(10)
        yield peer, accepted


def handler(accepted: socket.socket, path: str) -> Handler:
    taken = lambda: (accepted, b"")  # noqa: E731
    request = parse_request(f"GET {path} HTTP/1.0".encode())
    fields = {"socket": accepted, "client_address": ADDRESS, "read_so_far": b"GET / ...", "take_socket": taken}
    return cast("Handler", SimpleNamespace(request=request, proxied=False, **fields))


def path_of(office: Office, owner: int | None, form: str = "/attach/%s/slave") -> str:
    """A path whose session lives in that worker."""
    return form % next(name.session_id for name in NAMES if office.worker.owner(name) == owner)


def test_each_name_has_one_owner(office: Office) -> None:
    owners = [office.worker.owner(name) for name in NAMES]
    assert set(owners) == {None, 2}
    assert owners == [None if owner_of(name, KEY, 2) == 1 else 2 for name in NAMES]


def test_what_lives_here_or_nowhere_stays(office: Office, connection: tuple[socket.socket, socket.socket]) -> None:
    for path in (path_of(office, None), "/status", "/attach/%20/slave", path_of(office, 2, "/attach/%s/other")):
        assert office.worker.hand_over(handler(connection[1], path)) is False


def test_what_lives_elsewhere_goes(office: Office, connection: tuple[socket.socket, socket.socket]) -> None:
    peer, accepted = connection
    assert office.worker.hand_over(handler(accepted, path_of(office, 2) + "?with=a&query")) is True
    assert accepted.fileno() == -1
    packet, fd = collect(office.second[0])
    assert packet == pack(Letter(HTTP, ADDRESS, b"GET / ..."))
    with socket.socket(fileno=fd) as handed:
        handed.sendall(b"here")
        assert peer.recv(10) == b"here"


def fill(outbox: socket.socket) -> None:
    near, far = unix_pair()
    with near, far, contextlib.suppress(BlockingIOError):
        while True:
            post(outbox, bytes(1000), far.fileno())


def test_a_full_mailbox_holds_up_nobody_and_then_refuses(
    office: Office, connection: tuple[socket.socket, socket.socket], logs: list[EventDict]
) -> None:
    fill(office.second[1])
    others = gevent.spawn(lambda: "had a turn")
    with pytest.raises(HandshakeError) as refused:
        office.worker.hand_over(handler(connection[1], path_of(office, 2)))
    assert (refused.value.http_status, refused.value.headers) == (503, (("Retry-After", "5"),))
    assert connection[1].fileno() >= 0, "whoever refuses has to answer"
    assert [entry["event"] for entry in logs] == ["connection not handed over"]
    assert others.value == "had a turn"


def test_a_full_mailbox_that_is_read_in_time(
    patient_office: Office, connection: tuple[socket.socket, socket.socket]
) -> None:
    fill(patient_office.second[1])
    gevent.spawn_later(20 * MS, empty, patient_office.second[0])
    patient_office.worker.send(2, Letter(HTTP, ADDRESS), connection[1])


def empty(inbox: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            os.close(collect(inbox)[1])


def test_a_connection_is_taken_over(office: Office, connection: tuple[socket.socket, socket.socket]) -> None:
    peer, accepted = connection
    came: list[tuple[tuple[Any, ...], bytes]] = []

    def door(sock: Any, address: tuple[Any, ...], data: bytes) -> None:
        with sock:
            sock.sendall(b"hello")
            came.append((address, data))

    office.worker.doors["raw"] = door
    office.start()
    post(office.first[1], pack(Letter("raw", ADDRESS, b"what was read")), accepted.fileno())
    wait_until(lambda: came, nap=gevent.sleep)
    assert came == [(ADDRESS, b"what was read")]
    assert peer.recv(10) == b"hello"


@pytest.mark.parametrize("packet", [b"", b"nonsense", pack(Letter("no such door", ADDRESS))])
def test_what_is_not_understood_is_closed_and_told_of(
    office: Office, connection: tuple[socket.socket, socket.socket], logs: list[EventDict], packet: bytes
) -> None:
    peer, accepted = connection
    office.start()
    with accepted:
        post(office.first[1], packet, accepted.fileno())
    wait_until(lambda: logs, nap=gevent.sleep)
    assert [entry["event"] for entry in logs] == ["connection not taken over"]
    assert peer.recv(10) == b""


def test_with_no_descriptor_left_connections_wait(
    office: Office,
    connection: tuple[socket.socket, socket.socket],
    logs: list[EventDict],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = iter([OSError(errno.EMFILE, "x")] * 3)

    def scarce(inbox: socket.socket) -> tuple[bytes, int]:
        for refusal in refusals:
            raise refusal
        return collect(inbox)

    def door(sock: Any, _: object, data: bytes) -> None:
        sock.close()
        came.append(data)

    came: list[bytes] = []
    office.worker.doors[HTTP] = door
    monkeypatch.setattr(module, "collect", scarce)
    office.start()
    post(office.first[1], pack(Letter(HTTP, ADDRESS, b"at last")), connection[1].fileno())
    wait_until(lambda: came, nap=gevent.sleep)
    assert came == [b"at last"]
    assert [entry["error"] for entry in logs] == ["Too many open files"] * 3


def test_what_is_no_socket(office: Office, logs: list[EventDict]) -> None:
    reader, writer = os.pipe()
    office.start()
    post(office.first[1], pack(Letter(HTTP, ADDRESS)), writer)
    os.close(writer)
    wait_until(lambda: logs, nap=gevent.sleep)
    assert os.read(reader, 1) == b"", "nobody holds it any more"
    os.close(reader)


class TestStatus:
    def test_of_a_colleague_that_answers(self, patient_office: Office) -> None:
        asked = gevent.spawn(patient_office.worker.status)
        packet, fd = self.question(patient_office)
        assert packet == pack(Letter(STATUS))
        with socket.socket(fileno=fd) as answers:
            answers.sendall(b'{"worker": 2, "sessions": [{"id": "theirs", "create_time": 1}]}')
        sessions, workers = asked.get()
        assert [session["id"] for session in sessions] == ["theirs", "mine"], "oldest first"
        assert [worker["worker"] for worker in workers] == [1, 2]

    @pytest.mark.parametrize("answer", [b"", b"{", b"\xff", b'{"worker": 2, "sess'])
    def test_of_one_that_fails(self, office: Office, answer: bytes) -> None:
        asked = gevent.spawn(office.worker.status)
        with socket.socket(fileno=self.question(office)[1]) as answers:
            answers.sendall(answer)
        sessions, (_, other) = asked.get()
        assert [session["id"] for session in sessions] == ["mine"]
        assert other["error"]

    def test_of_one_that_does_not_answer(self, office: Office) -> None:
        _, (_, other) = office.worker.status()
        assert other == {"worker": 2, "error": "no answer in time"}

    def test_of_one_whose_mailbox_is_full(self, office: Office) -> None:
        fill(office.second[1])
        _, (_, other) = office.worker.status()
        assert other == {"worker": 2, "error": "its mailbox is full"}

    def test_is_told_to_who_asks(self, office: Office) -> None:
        near, far = socket.socketpair()
        office.start()
        with near:
            with far:
                post(office.first[1], pack(Letter(STATUS)), far.fileno())
            gevent.socket.wait_read(near.fileno(), 10)
            assert b'"sessions": [{"id": "mine", "create_time": 2, "worker": 1}]' in near.recv(4096)

    def question(self, office: Office) -> tuple[bytes, int]:
        gevent.socket.wait_read(office.second[0].fileno(), 10)
        return collect(office.second[0])
