"""Raw TCP with several processes on its port: the greeting says whose session it is, and the connection goes there."""

from __future__ import annotations

import pytest

from tests.integration.test_raw_greetings import test_an_id_is_taken_once, test_frames_right_behind_the_greeting
from tests.integration.test_raw_sessions import MIXES, bytes_of, ready, wrapped
from tests.peers import BINARY
from tests.rawpeers import connect, linked, pair, plain
from tests.reflectors import Reflector, new_id
from tests.workers import handed_over, homes

__all__ = ["test_an_id_is_taken_once", "test_frames_right_behind_the_greeting"]

CROWD = 24


REFLECTOR_OPTIONS = ("--workers", "3", "--raw-port", "0")


@pytest.mark.parametrize(("client_kind", "agent_kind"), MIXES)
def test_wherever_the_ends_are_accepted(reflector: Reflector, client_kind: str, agent_kind: str) -> None:
    before, pairs = handed_over(reflector), 0
    while handed_over(reflector) < before + 3:
        with pair(reflector, client_kind, agent_kind) as (client, agent):
            ready(client, agent)
            for source, sink in ((client, agent), (agent, client)):
                source.send(wrapped(source, BINARY, b"to the other end"))
                assert bytes_of(sink, 16) == b"to the other end"
        pairs += 1
        assert pairs < 100, "no connection is handed over"


def test_a_typed_greeting_whose_lf_comes_after_the_hand_over(reflector: Reflector) -> None:
    workers = set()
    for _ in range(CROWD):
        session = new_id()
        with plain(reflector, session, "client") as client:
            assert client.line() == b"OK waiting"
            workers.add(homes(reflector)[session])
            with connect(reflector, f"ATTACH {session} agent\r".encode()) as agent:
                linked(agent)
                linked(client)
                agent.send(b"\n")
                agent.send(b"said")
                client.hears(b"said")
    assert len(workers) > 1
