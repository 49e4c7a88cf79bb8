"""Signs of life, with the clock's intervals shortened."""

from __future__ import annotations

import pytest

from agent.timeouts import Timeouts
from medusa.protocol.messages import Binary, Close, Ping, Pong
from tests.agents import Agent, Client, session_members
from tests.waiting import MS, Deadline

INTERVAL = 1000 * MS
"""A peer is lost after three: a test that stands still for shorter must not be."""


@pytest.fixture
def agent_timeouts() -> Timeouts:
    return Timeouts(keepalive_interval=INTERVAL, leave_timeout=INTERVAL, hangup_grace=0.3)


def test_agent_that_sends_nothing_pings(client: Client, agent: Agent) -> None:
    for _ in range(4):  # each answered by the transport, so longer than what makes a silent peer lost
        assert isinstance(client.link.receive(Deadline().left), Ping)


def test_silent_peer_is_lost(client: Client, agent: Agent) -> None:
    shell = client.start().pid
    status, log = agent.finish()
    assert status == 0
    assert "link lost: silent for" in log
    assert session_members(shell) == {}


def test_peer_that_sends_anything_is_not_lost(client: Client, agent: Agent) -> None:
    client.start()
    over = Deadline(4 * INTERVAL)
    while not over.passed:
        client.link.send(Pong())
        with pytest.raises(TimeoutError):  # noqa: PT012
            while not isinstance(client.link.receive(INTERVAL / 4), Close):
                pass
    assert client.ask("echo still there") == b"still there\r\n"


def test_agent_that_does_not_read_pings_and_does_not_judge(client: Client, agent: Agent) -> None:
    client.run("stty raw -echo; printf go; sleep 1000")
    client.until(b"go")
    piece = Binary(b"v" * 65536)
    with pytest.raises(TimeoutError):  # noqa: PT012
        while True:
            client.link.send(piece, INTERVAL)
    pings = 0
    while pings < 4:
        pings += isinstance(client.link.receive(Deadline().left), Ping)


def test_agent_leaves_by_itself_when_the_client_does_not(client: Client, agent: Agent) -> None:
    client.run("exit 4")
    client.outcome()
    while not isinstance(message := client.link.receive(Deadline().left), Close):
        pass
    assert message == Close(1000, "")
    assert agent.finish()[0] == 0
