from __future__ import annotations

import os
import socket
import time

import pytest

from agent.poller import FAILED, PEER_CLOSED, READ, WRITE, Poller, earliest


def test_watches_what_it_is_told() -> None:
    a, b = socket.socketpair()
    with a, b:
        poller = Poller()
        poller.watch({a.fileno(): READ})
        assert poller.wait(0) == {}
        poller.watch({a.fileno(): READ | WRITE})
        assert poller.wait(0) == {a.fileno(): WRITE}
        b.send(b"x")
        poller.watch({a.fileno(): READ, b.fileno(): WRITE})
        assert poller.wait(None) == {a.fileno(): READ, b.fileno(): WRITE}


def test_without_wishes_a_hangup_is_not_reported() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    poller = Poller()
    poller.watch({reader: READ})
    assert poller.wait(0)[reader] & FAILED
    poller.watch({reader: 0})
    assert poller.wait(0) == {}
    poller.watch({})
    os.close(reader)


def test_end_of_a_peer_is_seen_without_reading() -> None:
    a, b = socket.socketpair()
    with a:
        with b:
            b.send(b"unread")
        poller = Poller()
        poller.watch({a.fileno(): PEER_CLOSED})
        assert poller.wait(0)[a.fileno()] & PEER_CLOSED


def test_wait_ends_after_its_deadline_not_before() -> None:
    begin = time.monotonic()
    Poller().wait(0.0105)
    assert time.monotonic() - begin >= 0.0105


@pytest.mark.parametrize(
    ("times", "expected"), [([], None), ([None], None), ([None, 3.0, 0.0, None], 0.0), ([2.0, 1.0, 1.0, 5.0], 1.0)]
)
def test_the_earliest_time_is_found_among_those_that_are_never(
    times: list[float | None], expected: float | None
) -> None:
    assert earliest(times) == expected
