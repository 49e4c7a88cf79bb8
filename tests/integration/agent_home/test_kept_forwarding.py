"""What an agent keeps for a client that forwards and has lost its link; the test is reflector, client and programs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from medusa.protocol.resume.offer import StreamOffer
from tests.agents import Agent, stop
from tests.integration.agent_forwarding.targets import Target, closed, everything, listener
from tests.integration.agent_home.homes import Home, finish, resume
from tests.streamclients import STREAM_ID
from tests.waiting import PATIENCE


def test_connections_and_listeners_survive_their_links(home: Home, agent: Agent) -> None:
    client, target = home.stream(), Target()
    run, peer = target.connect(client, host="localhost")
    _, where = listener(client)
    with target.socket, peer:
        run.give(b"one")
        assert peer.recv(100) == b"one"
        peer.sendall(b"on the way")
        late = client.open("tcp", **target.fields)
        client.link.abort()
        agent.logged("is kept for")
        peer.sendall(b", and without a link")
        peer.shutdown(socket.SHUT_WR)
        with socket.create_connection(("127.0.0.1", where["port"]), PATIENCE) as other:
            other.sendall(b"hello")
            resume(home, client)
            (accepted,) = client.accept()
            accepted.until(b"hello", 0)
        late.started()
        client.until(lambda: run.channel.readers[0].complete)
        assert run.output[0] == b"on the way, and without a link"
        run.give(b"two")
        run.end()
        assert everything(peer) == b"two"
        assert closed(run) == ""
    assert client.leave() == "done"
    client.link.abort()
    assert finish(home, agent)[0] == 0


def test_what_is_given_up_is_reset_and_removed(home: Home, agent: Agent, tmp_path: Path) -> None:
    client, target, path = home.stream(StreamOffer("ab" * 16)), Target(), tmp_path / "listener"
    _, peer = target.connect(client)
    listener(client, path=str(path))
    client.link.abort()
    agent.logged("is kept for")
    stop(agent)
    with target.socket, peer, pytest.raises(ConnectionResetError):
        everything(peer)
    assert finish(home, agent)[0] == 143
    assert not path.exists()


def test_a_client_that_stays_comes_back_after_all_its_commands(home: Home, agent: Agent) -> None:
    client = home.stream(StreamOffer(STREAM_ID, stays=True))
    assert client.run("exit 3").outcome() == {"status": 3}
    client.until(lambda: not client.stream.kept)
    client.link.abort()
    agent.logged("is kept for")
    assert resume(home, client).gone is None
    assert client.run("exit 4").outcome() == {"status": 4}
    assert client.leave() == "done"
    client.link.abort()
    assert finish(home, agent)[0] == 0
