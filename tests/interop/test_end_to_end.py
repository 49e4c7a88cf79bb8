"""PyPI `websockets` on both sides of a real reflector."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close
from websockets.sync.client import ClientConnection

from bench.kinds import Relay
from tests.interop.pairs import attached, new_session, pair
from tests.waiting import PATIENCE

SIZES = (0, 1, 125, 126, 65535, 65536, 70000, 1 << 20)


def end_of(connection: ClientConnection) -> Close | None:
    """Waits for the end and returns the Close that the peer sent, if any."""
    with pytest.raises(ConnectionClosed) as ended:
        connection.recv(timeout=PATIENCE)
    return ended.value.rcvd


@pytest.mark.parametrize("size", SIZES)
def test_messages_pass_one_for_one_both_ways(reflector: Relay, size: int) -> None:
    text, data = "é" * (size // 2) + "x" * (size % 2), os.urandom(size)
    with pair(reflector) as ends:
        for source, sink in itertools.permutations((ends.client, ends.agent)):
            source.send(text)
            source.send(data)
            assert sink.recv(timeout=PATIENCE) == text
            assert sink.recv(timeout=PATIENCE) == data


@pytest.mark.parametrize("pieces", [["a", "b", "", "é" * 40000], [b"", b"x" * 70000, b"y"]], ids=["text", "binary"])
def test_a_fragmented_message_arrives_as_one_frame(reflector: Relay, pieces: list[Any]) -> None:
    with pair(reflector) as ends:
        ends.client.send(iter(pieces))
        assert list(ends.agent.recv_streaming()) == [type(pieces[0])().join(pieces)]


def test_no_extension_is_agreed_on(reflector: Relay) -> None:
    with attached(reflector, new_session(), "master") as client:
        assert client.request is not None
        assert "permessage-deflate" in client.request.headers["Sec-WebSocket-Extensions"]
        assert client.protocol.extensions == []


@pytest.mark.parametrize("closer", ["client", "agent"])
def test_a_close_is_answered_and_passed_on_with_its_reason(reflector: Relay, closer: str) -> None:
    with pair(reflector) as ends:
        first, other = (ends.client, ends.agent) if closer == "client" else (ends.agent, ends.client)
        first.close(1000, "au revoir")
        assert first.close_code == 1000
        assert end_of(other) == Close(1000, "au revoir")
