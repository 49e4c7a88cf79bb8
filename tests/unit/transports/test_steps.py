"""Dialling step by step: a test decides in the caller's place how long each wait lasts."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from medusa.protocol.messages import Binary
from medusa.transports.base import Transport
from medusa.transports.connect import connect_steps
from medusa.transports.dial import ConnectRefused
from medusa.transports.dial.lookup import lookup
from medusa.transports.dial.race import ATTEMPT_DELAY, Address
from medusa.transports.dial.tcp import connect_any
from medusa.transports.steps import Steps, Wait, run
from tests.blocking import receive
from tests.frames import BINARY, frame
from tests.ports import swallowing
from tests.servers import read_request, switching
from tests.waiting import PATIENCE, Clock

T = TypeVar("T")

IN, OUT = select.POLLIN, select.POLLOUT
TIMEOUT = 30.0


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    fds, pids = descriptors(), children()
    yield
    assert descriptors() <= fds  # fewer is right: what an earlier test held may have been closed meanwhile
    assert children() <= pids


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Connections to it come about, and nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def swallowed(listener: socket.socket) -> Iterator[str]:
    """An address that does not answer."""
    with swallowing("127.0.0.2", listener.getsockname()[1]):
        yield "127.0.0.2"


def go_on(steps: Steps[T], wanted: int) -> Wait:
    """Lets the work go on until it waits for one of the events `wanted`."""
    wait = next(steps)
    while wanted not in wait.events.values():
        poll = select.poll()
        for fd, mask in wait.events.items():
            poll.register(fd, mask)
        wait = steps.send(dict(poll.poll(PATIENCE * 1000)))
    return wait


STAGES = {
    "lookup": ("ws://name.example/", IN, "name.example:80: the lookup of the name timed out"),
    "tcp": ("ws://127.0.0.2:{}/", OUT, "127.0.0.2:{}: timed out"),
    "proxy": ("ws://far.example/", IN, "no answer: timed out"),
    "tls": ("wss://127.0.0.1:{}/", IN, "127.0.0.1:{}: timed out"),
    "upgrade": ("ws://127.0.0.1:{}/", IN, "no answer: timed out"),
    "greeting": ("tcp://127.0.0.1:{}/", IN, "no answer: timed out"),
}
"""Where dialling may hang: a URL, the event that does not come, and what a user reads."""


@pytest.fixture
def hanging(listener: socket.socket, swallowed: str, monkeypatch: pytest.MonkeyPatch, stage: str) -> Steps[Transport]:
    port, clock = listener.getsockname()[1], Clock()
    real = socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **options: Any) -> Any:
        return signal.pause() if host == "name.example" else real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if stage == "proxy":
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    steps = connect_steps(STAGES[stage][0].format(port), clock() + TIMEOUT, clock=clock)
    wait = go_on(steps, STAGES[stage][1])
    assert wait.until == clock() + TIMEOUT
    clock.sleep(TIMEOUT)
    return steps


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_given_up_leaves_nothing(hanging: Steps[Transport]) -> None:
    hanging.close()


@pytest.mark.parametrize("stage", STAGES)
def test_when_the_time_has_passed_it_says_what_did_not_answer(
    hanging: Steps[Transport], stage: str, listener: socket.socket
) -> None:
    with pytest.raises(ConnectRefused) as caught:
        hanging.send({})
    assert str(caught.value) == STAGES[stage][2].format(listener.getsockname()[1])
    assert caught.value.retryable


def test_one_that_hangs_does_not_hinder_another(listener: socket.socket) -> None:
    url, deadline = f"ws://127.0.0.1:{listener.getsockname()[1]}/", time.monotonic() + PATIENCE
    first, second = (connect_steps(url, deadline) for _ in range(2))
    peers = []
    for steps in (first, second):
        go_on(steps, IN)
        peers.append(listener.accept()[0])
    for steps, peer, data in ((second, peers[1], b"two"), (first, peers[0], b"one")):
        with peer:
            peer.sendall(switching(read_request(peer)) + frame(BINARY, data, key=None))
            with pytest.raises(StopIteration) as end:
                steps.send({0: IN})
            assert receive(end.value.value) == Binary(data)
            end.value.value.abort()


def test_the_next_address_is_tried_when_it_is_its_turn(listener: socket.socket, swallowed: str) -> None:
    port, clock = listener.getsockname()[1], Clock()
    addresses = [Address(socket.AF_INET, (host, port)) for host in (swallowed, "127.0.0.1")]
    steps = connect_any(addresses, "h:1", clock() + TIMEOUT, clock=clock)
    wait = next(steps)
    assert (list(wait.events.values()), wait.until) == ([OUT], clock() + ATTEMPT_DELAY)
    clock.sleep(ATTEMPT_DELAY)
    wait = steps.send({})
    assert (list(wait.events.values()), wait.until) == ([OUT, OUT], clock() + TIMEOUT - ATTEMPT_DELAY)
    with pytest.raises(StopIteration) as end:
        steps.send({max(wait.events): OUT})
    assert end.value.value.getpeername()[0] == "127.0.0.1"
    end.value.value.close()


def test_a_helper_that_another_part_of_the_program_has_reaped() -> None:
    steps = lookup("localhost", 1, time.monotonic() + PATIENCE)
    wait = next(steps)
    (fd,) = wait.events
    os.waitid(os.P_ALL, 0, os.WEXITED)
    assert steps.send({fd: IN}) == wait  # the answer is read, and its end is not
    with pytest.raises(StopIteration) as end:
        steps.send({fd: IN})
    assert Address(socket.AF_INET, ("127.0.0.1", 1)) in end.value.value


def test_a_caller_that_blocks_gives_the_work_up_if_a_signal_raises() -> None:
    ended = []

    def work() -> Steps[None]:
        try:
            yield Wait({}, time.monotonic() + PATIENCE)
        finally:
            ended.append(True)

    class Poll:
        def poll(self, _: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(work(), Poll)
    assert ended == [True]
