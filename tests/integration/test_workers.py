"""Several processes on one port: it makes no difference which of them accepts the ends of a session."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from functools import partial

import pytest

from tests.integration import test_reflector_http as http
from tests.integration.test_reflector_life import unread
from tests.peers import BINARY, LINKUP, TEXT, Peer, frame, upgrade
from tests.reflectors import OF_THE_MACHINE, Reflector, new_id, running
from tests.signing import Key, allow, attach_path, signed_request, signed_target
from tests.waiting import wait_until
from tests.witnesses import Witness
from tests.workers import ask, handed_over, homes, pids, stopped, watched

HOST = "medusa.example:8381"
WORKERS = ("--workers", "3")
CROWD = 24
PIECE = 20_000


REFLECTOR_OPTIONS = WORKERS


@pytest.fixture(scope="module")
def door(key: Key, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reflector]:
    accounts = tmp_path_factory.mktemp("accounts")
    allow(accounts, "alice", key)
    with running(*WORKERS, "--accounts", str(accounts)) as reflector:
        yield reflector


class TestAttach(http.TestAttach):
    """With workers."""


def test_many_sessions_at_once_wherever_their_ends_are_accepted(reflector: Reflector) -> None:
    before = handed_over(reflector)
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(reflector.pair()) for _ in range(CROWD)]
        assert handed_over(reflector) > before
        assert len(set(homes(reflector).values())) > 1
        for _ in range(4):
            sent = [(os.urandom(PIECE), os.urandom(PIECE)) for _ in pairs]
            for (client, agent), (theirs, ours) in zip(pairs, sent, strict=True):
                client.binary(theirs)
                agent.binary(ours)
            for (client, agent), (theirs, ours) in zip(pairs, sent, strict=True):
                agent.expect(BINARY, theirs)
                client.expect(BINARY, ours)


def test_bytes_after_the_head_survive_the_hand_over(reflector: Reflector) -> None:
    """Each agent's first frames come in one segment with its head, more of them after it."""
    before = handed_over(reflector)
    while handed_over(reflector) < before + 6:
        early = [os.urandom(size) for size in (1, 0, 300, PIECE)]
        arrives_early(reflector, new_id(), early)


def arrives_early(reflector: Reflector, session: str, early: list[bytes]) -> None:
    with reflector.attach(session, "master") as client:
        wait_until(lambda: session in homes(reflector))
        behind = b"".join(frame(BINARY, data, key=b"\1\2\3\4") for data in early)
        with reflector.attach(session, "slave", behind) as agent:
            client.linked()
            agent.expect(TEXT, LINKUP)
            for data in early:
                client.expect(BINARY, data)


def test_a_connection_that_was_handed_over_is_not_watched_any_more(reflector: Reflector) -> None:
    """The kernel watches a connection until its last descriptor is closed, and the owner has one."""
    before = handed_over(reflector)
    with contextlib.ExitStack() as stack:
        while handed_over(reflector) < before + 6:
            request = upgrade(f"/attach/{new_id()}/master")
            client = stack.enter_context(reflector.open(request[:10]))
            wait_until_read(client)
            client.send(request[10:])
            assert client.head().status == 101
            client.text("is dropped")
        for pid in pids(reflector).values():
            wait_until(partial(watches_what_it_has, pid), "a worker that watches nothing but its own")


def wait_until_read(client: Peer) -> None:
    """All that was sent."""
    wait_until(lambda: unread(client) == 0, "a worker that waits for the rest")


def watches_what_it_has(pid: int) -> bool:
    """May be False by chance, as the two lists are not read at the same moment."""
    numbers = watched(pid)
    return len(numbers) == len(set(numbers)) and set(map(str, numbers)) <= set(os.listdir(f"/proc/{pid}/fd"))


def test_log_lines_carry_the_workers_number(reflector: Reflector) -> None:
    session = new_id()
    with reflector.attach(session, "master"):
        home = wait_until(lambda: homes(reflector).get(session)) or 0
    assert reflector.ended(session)["worker"] == home
    (served,) = reflector.logged("worker serves", worker=home)
    assert served["worker_pid"] == pids(reflector)[home] == reflector.ended(session)["pid"]


def test_as_many_as_there_are_processors() -> None:
    usable = len(os.sched_getaffinity(0))
    with running("--workers", "auto") as reflector:
        assert len(reflector.get("/status").json().get("workers", "1")) == usable


class TestStatus:
    def test_any_worker_shows_the_sessions_of_all(self, reflector: Reflector) -> None:
        with contextlib.ExitStack() as stack:
            names = [new_id() for _ in range(12)]
            for name in names:
                stack.enter_context(reflector.attach(name, "master"))
            for _ in range(10):  # any worker may answer
                shown = reflector.sessions()
                assert sorted(entry["id"] for entry in shown) == sorted(names)
                created = [entry["create_time"] for entry in shown]  # milliseconds: several may share one
                assert created == sorted(created), "oldest first"
            assert len({entry["worker"] for entry in shown}) > 1

    def test_a_worker_that_does_not_answer_is_reported(self) -> None:
        with running("--workers", "2", check=False) as reflector:
            with reflector.pair() as (client, agent):
                (home,) = homes(reflector).values()
                away = 3 - home
                with stopped(pids(reflector)[away]):
                    (silent,) = [worker for worker in ask(reflector) if worker["worker"] == away]
                    assert silent == {"worker": away, "error": "no answer in time"}
                    Witness(client, agent).check()
            wait_until(lambda: not reflector.sessions())


class TestFrontDoor:
    def test_a_url_works_once_at_all_workers(self, door: Reflector, key: Key) -> None:
        before = handed_over(door)
        while handed_over(door) < before + 12:
            session = new_id()
            request = upgrade(signed_target(key, "alice", attach_path("alice", session, "slave"), HOST), host=HOST)
            with self.waiting(door, key, session):
                with door.enter(request):
                    pass
                for _ in range(3):
                    answer = door.ask(request)
                    assert (answer.status, b"used before" in answer.rest) == (403, True)

    def test_a_stranger_learns_nothing_from_where_a_session_lives(self, door: Reflector) -> None:
        stranger = Key("ed25519")
        answers = set()
        before = handed_over(door)
        while handed_over(door) < before + 3:
            path = attach_path("alice", new_id(), "master")
            answer = door.ask(signed_request(stranger, "alice", path, HOST))
            answers.add((answer.status, answer.rest))
        assert len(answers) == 1

    @contextlib.contextmanager
    def waiting(self, door: Reflector, key: Key, session: str) -> Iterator[Peer]:
        path = attach_path("alice", session, "master")
        with door.enter(signed_request(key, "alice", path, HOST)) as client:
            wait_until(lambda: session in door.states())
            yield client


def test_each_worker_tells_of_a_low_limit_of_descriptors() -> None:
    with running(*WORKERS, limits=(256, 600)) as reflector:
        entries = [json.loads(line) for line in reflector.raw_log.splitlines() if OF_THE_MACHINE in line]
    assert sorted((entry["worker"], entry["pairs"]) for entry in entries) == [(1, 268), (2, 268), (3, 268)]
