"""Clients that join a session, and the calls to its agent."""

from __future__ import annotations

from tests import legs
from tests.peers import BINARY, Frame, Peer, close_frame
from tests.reflectors import Reflector
from tests.waiting import wait_until


def talk(client: Peer, agent: Peer, data: bytes) -> None:
    """Bytes pass in both directions, and nothing else does."""
    client.binary(data)
    assert agent.word() == Frame(BINARY, data)
    agent.binary(data[::-1])
    assert client.word() == Frame(BINARY, data[::-1])


def end(client: Peer, agent: Peer) -> None:
    """The client closes, both sides end in order."""
    client.send(close_frame(1000, "done"))
    assert client.closed()[0] == 1000
    assert agent.closed() == (1000, "done")


def test_a_client_joins_and_the_called_agent_answers(reflector: Reflector) -> None:
    with legs.session(reflector) as (session, client, agent):
        with legs.leg(reflector, session, agent) as leg:
            assert legs.legs(reflector, session) == 2
            talk(*leg, b"of the leg")
            talk(client, agent, b"of the first")
            end(*leg)
        talk(client, agent, b"goes on")
        (record,) = wait_until(lambda: reflector.logged("leg ended", session=session), "the leg's record")
        assert (record["leg"], record["outcome"], record["client_bytes"]) == (2, "completed", 10)
        end(client, agent)
    ended = reflector.ended(session)
    assert (ended["outcome"], ended["legs"], ended["client_bytes"]) == ("completed", 2, 10 + 12 + 7)
