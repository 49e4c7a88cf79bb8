"""Questions to another worker, which is only a channel here, and answers to it."""

from __future__ import annotations

import errno
import json
import socket
from typing import cast

import gevent
import gevent.socket
import pytest

from medusa.reflector.admin.lists.pages import Part, Query
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.metrics import GAUGE, Family, Metrics
from medusa.reflector.session_name import SessionName
from medusa.reflector.workers import rpc
from medusa.reflector.workers.fd_channel import QUESTION, Message, pack, receive, send, unpack
from tests.unit.reflector.workers.conftest import TwoWorkers
from tests.waiting import MS


class Sessions:
    """Stands for the session list and the metrics of the first worker."""

    def local(self, query: Query) -> Part:
        assert query == Query("bob", limit=7)
        return Part([{"id": "mine"}], "bob/mine")

    def kill_local(self, name: SessionName) -> bool:
        return name == SessionName("mine", "bob")

    def families(self) -> list[Family]:
        return [Family(GAUGE, "sessions", "Sessions", {"": 1})]


@pytest.fixture(autouse=True)
def serving(two: TwoWorkers) -> None:
    sessions = Sessions()
    status = lambda: [{"id": "mine", "create_time": 2}]  # noqa: E731
    two.others.serve(status, cast("SessionList", sessions), cast("Metrics", sessions))


def asked(two: TwoWorkers) -> tuple[object, socket.socket]:
    """The question that has arrived at the second worker, and the socket for its answer."""
    gevent.socket.wait_read(two.inbox.fileno(), 10)
    packet, fd = receive(two.inbox)
    message = unpack(packet)
    assert message.kind == QUESTION
    return json.loads(message.data), socket.socket(fileno=fd)


def answer(two: TwoWorkers, data: bytes) -> None:
    with asked(two)[1] as sock:
        sock.sendall(data)


def test_the_status_of_a_worker_that_answers(two: TwoWorkers) -> None:
    asking = gevent.spawn(two.others.status)
    question, sock = asked(two)
    assert question == ["status", None]
    with sock:
        sock.sendall(b'{"answer": {"worker": 2, "sessions": [{"id": "theirs", "create_time": 1}]}}')
    sessions, workers = asking.get()
    assert [session["id"] for session in sessions] == ["theirs", "mine"], "oldest first"
    assert [worker["worker"] for worker in workers] == [1, 2]


@pytest.mark.parametrize(("data", "silent"), [(b'{"answer": true}', []), (b"", [2]), (b"{}", [2])])
def test_the_workers_that_do_not_answer(two: TwoWorkers, data: bytes, silent: list[int]) -> None:
    asking = gevent.spawn(two.others.silent)
    answer(two, data)
    assert asking.get() == silent


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"answer": {"worker": 2, "sess', b"{}"])
def test_the_status_of_a_worker_that_fails(two: TwoWorkers, data: bytes) -> None:
    asking = gevent.spawn(two.others.status)
    answer(two, data)
    sessions, (_, other) = asking.get()
    assert [session["id"] for session in sessions] == ["mine"]
    assert other == {"worker": 2} if data == b"{}" else other["error"]


@pytest.mark.parametrize("timeout", [50 * MS])
@pytest.mark.parametrize(("full", "error"), [(False, "no answer in time"), (True, "its mailbox is full")])
def test_the_status_of_a_worker_that_does_not_answer(two: TwoWorkers, full: bool, error: str) -> None:
    if full:
        two.fill()
    _, (_, other) = two.others.status()
    assert other == {"worker": 2, "error": error}


def test_metrics_of_the_others(two: TwoWorkers) -> None:
    asking = gevent.spawn(two.others.metrics)
    answer(two, b'{"answer": "sessions 2\\n"}')
    assert asking.get() == ["sessions 2\n"]


def test_the_sessions_of_another(two: TwoWorkers) -> None:
    (source,) = two.others.sources()
    asking = gevent.spawn(source, Query("bob", limit=7))
    question, sock = asked(two)
    assert question == ["sessions", ["bob", "", "", 7]]
    with sock:
        sock.sendall(b'{"answer": [[{"id": "theirs"}], null]}')
    assert asking.get() == Part([{"id": "theirs"}])


@pytest.mark.parametrize("timeout", [50 * MS])
def test_a_worker_that_does_not_answer_is_left_out(two: TwoWorkers) -> None:
    assert ([source(Query()) for source in two.others.sources()], two.others.metrics()) == ([Part([])], [])


def test_the_owner_of_a_session_ends_it(two: TwoWorkers) -> None:
    names = [SessionName(f"job-{number}", "bob") for number in range(100)]
    own, theirs = (next(name for name in names if two.handoff.owner(name) == owner) for owner in (None, 2))
    assert two.others.kill(own) is False, "this worker has looked already"
    asking = gevent.spawn(two.others.kill, theirs)
    question, sock = asked(two)
    assert question == ["kill", list(theirs)]
    with sock:
        sock.sendall(b'{"answer": true}')
    assert asking.get() is True


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (["sessions", ["bob", "", "", 7]], {"answer": [[{"id": "mine"}], "bob/mine"]}),
        (["kill", ["mine", "bob"]], {"answer": True}),
        (["kill", ["mine", ""]], {"answer": False}),
        (["metrics", None], {"answer": "# HELP sessions Sessions\n# TYPE sessions gauge\nsessions 1.0\n"}),
        (["of a later version", None], {}),
    ],
)
def test_the_others_are_answered(two: TwoWorkers, question: object, expected: object) -> None:
    two.start()
    near, far = socket.socketpair()
    with near:
        with far:
            send(two.to_first, pack(Message(QUESTION, data=json.dumps(question).encode())), far.fileno())
        gevent.socket.wait_read(near.fileno(), 10)
        assert json.loads(near.recv(4096)) == expected
    assert two.handoff.taken_over == 0, "a question is no connection"


def test_with_no_descriptor_left(two: TwoWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(rpc, "socketpair", refuse)
    assert two.others.silent() == [2]
    assert "Too many open files" in two.rpc.ask(2, "status")["error"]
