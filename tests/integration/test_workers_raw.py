"""Raw TCP with several processes on its port: the greeting says whose session it is, and the connection goes there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration import test_raw_sessions as raw
from tests.rawpeers import pair
from tests.reflectors import Reflector, running
from tests.workers import handed_over


@pytest.fixture(scope="module")
def shared_reflector() -> Iterator[Reflector]:
    with running("--raw-port", "0", "--workers", "3") as reflector:
        yield reflector


@pytest.mark.parametrize(("client_kind", "agent_kind"), raw.MIXES)
def test_wherever_the_ends_are_accepted(reflector: Reflector, client_kind: str, agent_kind: str) -> None:
    before, pairs = handed_over(reflector), 0
    while handed_over(reflector) < before + 3:
        with pair(reflector, client_kind, agent_kind) as (client, agent):
            raw.ready(client, agent)
            for source, sink in ((client, agent), (agent, client)):
                source.send(raw.wrapped(source, raw.BINARY, b"to the other end"))
                assert raw.bytes_of(sink, 16) == b"to the other end"
        pairs += 1
        assert pairs < 100, "no connection is handed over"
