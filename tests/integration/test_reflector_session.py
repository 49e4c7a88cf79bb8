"""The life of a session on the wire: waiting, linkup, forwarding, every end, and the record of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.peers import BINARY, CLOSE, LINKUP, PING, PONG, TEXT, WAIT, Frame, Peer, close_frame, frame
from tests.reflectors import Reflector, new_id, running
from tests.waiting import PATIENCE


class TestWaiting:
    def test_a_pulse_in_each_interval_until_linkup(self) -> None:
        with running(timeouts={"wait_interval": 0.2}) as reflector:
            session, begun = new_id(), time.monotonic()
            with reflector.attach(session, "master") as client:
                for number in (1, 2, 3):
                    client.expect(TEXT, WAIT)
                    assert 0.2 * number <= time.monotonic() - begun < PATIENCE
                with reflector.attach(session, "slave"):
                    client.linked()
                    assert client.quiet(0.5)

    def test_linkup_reaches_the_client_first(self, reflector: Reflector) -> None:
        """An agent that answers linkup at once never overtakes the client's."""
        for _ in range(20):
            session = new_id()
            with (
                reflector.attach(session, "master", frame(TEXT, b"before: dropped")) as client,
                reflector.attach(session, "slave", frame(BINARY, b"eager")),
            ):
                client.linked()
                client.expect(BINARY, b"eager")

    def test_a_message_cut_by_linkup_is_dropped_whole(self, reflector: Reflector) -> None:
        session = new_id()
        large = frame(BINARY, b"x" * 200_000)
        with (
            reflector.attach(session, "master", frame(PING, b"first") + large[:100_000]) as client,
            reflector.attach(session, "slave") as agent,
        ):
            client.expect(PONG, b"first")
            client.linked()
            client.send(large[100_000:] + frame(TEXT, b"next"))
            agent.expect(TEXT, LINKUP)
            agent.expect(TEXT, b"next")


def pattern(size: int) -> bytes:
    return random.Random(1).randbytes(size)


class TestForwarding:
    @pytest.mark.parametrize(
        ("opcode", "payload"),
        [
            (BINARY, b""),
            (TEXT, "\u20ac \U0001f600 \u202e \x1b[31m".encode()),
            (BINARY, LINKUP),
            *((BINARY, pattern(size)) for size in (65537, 16 << 20)),
        ],
        ids=lambda value: f"{len(value)}-bytes" if isinstance(value, bytes) and len(value) > 40 else None,
    )
    def test_one_for_one_both_ways(self, reflector: Reflector, opcode: int, payload: bytes) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            for key in (bytes(4), b"\x01\x80\xff\x7f"):
                for source, sink in ((client, agent), (agent, client)):
                    assert source.through(frame(opcode, payload, key=key), sink) == Frame(opcode, payload)
            client.send(close_frame())
        record = reflector.ended(session)
        for side in ("client", "agent"):
            assert record[f"{side}_messages"] == 2
            assert record[f"{side}_bytes"] == 2 * len(payload)


class TestEnds:
    @pytest.mark.parametrize("code", [None, 4999])
    @pytest.mark.parametrize("side", [0, 1], ids=["client", "agent"])
    def test_a_close_is_answered_and_its_reason_passed_on(
        self, reflector: Reflector, side: int, code: int | None
    ) -> None:
        session, reason = new_id(), "" if code is None else "gute Nacht \u263e"
        with reflector.pair(session) as peers:
            first, second = peers[side], peers[1 - side]
            first.send(frame(TEXT, b"last words") + (frame(CLOSE) if code is None else close_frame(code, reason)))
            assert first.frame().close == (1000, "")
            assert first.until_fin() == b""
            second.expect(TEXT, b"last words")
            assert reflector.states()[session] == "closing"
            assert second.closed() == (1000, reason)
        record = reflector.ended(session)
        assert record["outcome"] == "completed"
        assert (reason in record["reason"]) or not reason

    @pytest.mark.parametrize(
        ("side", "expected"), [(0, "remote connection reset"), (1, "remote connection error")], ids=["client", "agent"]
    )
    @pytest.mark.parametrize("way", [Peer.fin, Peer.close, Peer.reset], ids=["fin", "gone", "rst"])
    def test_a_lost_side(self, reflector: Reflector, side: int, expected: str, way: Callable[[Peer], None]) -> None:
        session = new_id()
        with reflector.pair(session) as peers:
            peers[side].text("last words")
            way(peers[side])
            last = peers[1 - side].frame()
            assert last == (TEXT, b"last words", True) or way is Peer.reset
            assert (peers[1 - side].frame() if last.opcode == TEXT else last).close == (1000, expected)
        assert reflector.ended(session)["outcome"] == "lost"
