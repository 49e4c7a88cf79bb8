"""Frames that nobody may send: what the sender is told; that nobody else gets or notices any of it."""

from __future__ import annotations

from threading import Thread

import pytest

from tests.peers import BINARY, CONTINUATION, LINKUP, PING, TEXT, Peer, frame
from tests.reflectors import Reflector, new_id
from tests.witnesses import Witness

BAD_FRAMES: dict[str, tuple[int, bytes]] = {
    "not masked": (1002, frame(TEXT, b"x", key=None)),
    "one byte too long": (1009, b"\x82\xff" + (16 * 1024 * 1024 + 1).to_bytes(8, "big") + bytes(4)),
    "text is not UTF-8": (1007, frame(TEXT, b"\xff")),
    "forged linkup": (1008, frame(TEXT, LINKUP)),
    "forged, fragmented": (1008, frame(TEXT, b"med", fin=False) + frame(CONTINUATION, b"usa:{}")),
}
"""One for each close code, and a forgery in parts. The rules themselves are tested where they stand."""


class TestBadFrames:
    @pytest.mark.parametrize(("code", "data"), BAD_FRAMES.values(), ids=BAD_FRAMES)
    @pytest.mark.parametrize("side", [0, 1], ids=["client", "agent"])
    def test_end_the_session_and_nothing_of_them_gets_through(
        self, reflector: Reflector, witness: Witness, side: int, code: int, data: bytes
    ) -> None:
        session = new_id()
        with reflector.pair(session) as peers:
            bad, other = peers[side], peers[1 - side]
            bad.send(frame(TEXT, b"still good") + data)
            assert bad.frame().close[0] == code
            assert bad.until_fin() == b""
            other.expect(TEXT, b"still good")
            assert other.closed() == (1000, "the remote side broke the protocol")
            bad.close()
        record = reflector.ended(session)
        assert record["outcome"] == "ended"
        assert record["reason"].startswith(("client: ", "agent: ")[side])
        assert record[("client_messages", "agent_messages")[side]] == 1
        assert record[("client_bytes", "agent_bytes")[side]] == len(b"still good")


class TestFloods:
    """A peer that sends as fast as it can, from a thread, while another session is asked whether it notices."""

    @pytest.mark.parametrize(
        "data",
        [
            frame(PING, b"x" * 125) * 500,
            frame(BINARY, b"x") * 10_000,
            frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"", fin=False) * 10_000 + frame(CONTINUATION),
        ],
        ids=["pings", "single bytes", "empty fragments"],
    )
    def test_stops_nobody(self, reflector: Reflector, witness: Witness, data: bytes) -> None:
        with reflector.pair() as (client, agent):
            drain = Thread(target=swallow, args=(agent,))
            drain.start()
            witness.bears(client, data)
            agent.fin()
            drain.join()

    def test_of_a_client_that_waits_stops_nobody(self, reflector: Reflector, witness: Witness) -> None:
        with reflector.attach(new_id(), "master") as client:
            witness.bears(client, frame(BINARY, b"x") * 10_000)

    def test_after_a_breach_stops_nobody_either(self, reflector: Reflector, witness: Witness) -> None:
        with reflector.pair() as (client, _):
            client.send(frame(3))
            witness.bears(client, b"x" * (1 << 20))


def swallow(peer: Peer) -> None:
    try:
        while peer.sock.recv(1 << 20):
            pass
    except OSError:
        pass
