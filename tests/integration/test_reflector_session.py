"""The life of a session on the wire: waiting, linkup, forwarding, every end, and the record of it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import time
from collections.abc import Callable
from threading import Thread

import pytest

from tests.peers import BINARY, CLOSE, CONTINUATION, LINKUP, PING, PONG, TEXT, WAIT, Frame, Peer, close_frame, frame
from tests.reflectors import Reflector, Witness, new_id, running
from tests.waiting import MS, PATIENCE, Deadline, wait_until

MIB = 1 << 20


class TestWaiting:
    def test_a_pulse_every_two_seconds_until_linkup(self, reflector: Reflector) -> None:
        session = new_id()
        begun = time.monotonic()
        with reflector.attach(session, "master") as client:
            for number in (1, 2, 3, 4):
                client.expect(TEXT, WAIT)
                assert 2 * number <= time.monotonic() - begun < PATIENCE
            with reflector.attach(session, "slave") as agent:
                client.linked()
                agent.expect(TEXT, LINKUP)
                assert client.quiet(2.2)

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

    def test_a_ping_is_answered_while_waiting(self, reflector: Reflector) -> None:
        with reflector.attach(new_id(), "master") as client:
            client.send(frame(PING, b"there?"))
            client.expect(PONG, b"there?")


def pattern(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


class TestForwarding:
    @pytest.mark.parametrize(
        ("opcode", "payload"),
        [
            (TEXT, b"hello"),
            (TEXT, b""),
            (BINARY, b""),
            (TEXT, "\u20ac \U0001f600 \u202e \x1b[31m".encode()),
            (BINARY, b"\xff\xfe\x80 not UTF-8"),
            (TEXT, b"medusa"),
            (TEXT, b'Medusa:{"type":"linkup"}'),
            (BINARY, LINKUP),
            (TEXT, b"ping"),
            *((BINARY, pattern(size)) for size in (125, 126, 65535, 65536, 65537, MIB, 16 * MIB)),
            (TEXT, ("\u00e9" * MIB).encode()),
        ],
        ids=lambda value: f"{len(value)}-bytes" if isinstance(value, bytes) and len(value) > 40 else None,
    )
    def test_one_for_one_both_ways(self, reflector: Reflector, opcode: int, payload: bytes) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            for key in (bytes(4), b"\x01\x80\xff\x7f"):
                for source, sink in ((client, agent), (agent, client)):
                    sent = frame(opcode, payload, key=key)
                    if len(sent) < MIB // 8:
                        source.send(sent)
                        sink.expect(opcode, payload)
                    else:
                        assert source.through(sent, sink) == Frame(opcode, payload)
            client.send(close_frame())
        record = reflector.ended(session)
        for side in ("client", "agent"):
            assert record[f"{side}_messages"] == 2
            assert record[f"{side}_bytes"] == 2 * len(payload)

    def test_order_and_boundaries_in_any_segments(self, reflector: Reflector) -> None:
        rng = random.Random(7)
        messages = []
        for _ in range(300):
            text = bytes(rng.randrange(97, 123) for _ in range(rng.choice((0, 1, 7, 130))))
            messages.append((rng.choice((TEXT, BINARY)), text))
        data = b"".join(frame(opcode, payload, key=rng.randbytes(4)) for opcode, payload in messages)
        with reflector.pair() as (client, agent):
            at = 0
            while at < len(data):
                size = rng.choice((1, 2, 3, 50, 4000))
                client.send(data[at : at + size])
                at += size
            for opcode, payload in messages:
                agent.expect(opcode, payload)

    def test_fragments_become_one_frame(self, reflector: Reflector) -> None:
        euro = "\u20ac".encode()
        with reflector.pair() as (client, agent):
            client.send(frame(TEXT, b"a" + euro[:1], fin=False) + frame(PING, b"between"))
            client.send(frame(CONTINUATION, euro[1:2], fin=False) + frame(CONTINUATION, b"", fin=False))
            client.send(frame(CONTINUATION, euro[2:]) + frame(BINARY, b"", fin=False) + frame(CONTINUATION))
            client.expect(PONG, b"between")
            agent.expect(TEXT, b"a" + euro)
            agent.expect(BINARY, b"")
            payload = pattern(16 * MIB)
            pieces = [frame(CONTINUATION, payload[at : at + MIB], fin=False) for at in range(MIB, 15 * MIB, MIB)]
            pieces = [frame(BINARY, payload[:MIB], fin=False), *pieces, frame(CONTINUATION, payload[15 * MIB :])]
            assert client.through(b"".join(pieces), agent) == Frame(BINARY, payload)

    def test_a_large_frame_is_passed_on_as_it_arrives(self, reflector: Reflector) -> None:
        with reflector.pair() as (client, agent):
            data = frame(BINARY, bytes(range(256)) * 512)
            client.send(data[:70_000])
            head = agent.take(10 + 60_000, Deadline())
            assert head[:2] == b"\x82\x7f"
            agent.send(frame(TEXT, b"the other way works"))
            client.expect(TEXT, b"the other way works")
            client.send(data[70_000:])
            rest = agent.take(131_072 - 60_000, Deadline())
            assert head[10:] + rest == bytes(range(256)) * 512

    def test_pings_are_answered_not_forwarded_and_pongs_ignored(self, reflector: Reflector) -> None:
        with reflector.pair() as (client, agent):
            for peer, other in ((client, agent), (agent, client)):
                peer.send(frame(PING, b"p" * 125) + frame(PONG, b"unasked") + frame(TEXT, b"after"))
                peer.expect(PONG, b"p" * 125)
                other.expect(TEXT, b"after")


class TestEnds:
    @pytest.mark.parametrize("code", [None, 1000, 1001, 1011, 3000, 4999])
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
            if way is not Peer.reset:
                peers[1 - side].expect(TEXT, b"last words")
            else:
                assert peers[1 - side].frame().opcode in (TEXT, CLOSE)
        assert reflector.ended(session)["outcome"] == "lost"
        with reflector.pair(session) as peers:
            way(peers[side])
            assert peers[1 - side].closed() == (1000, expected)

    def test_the_id_is_free_again(self, reflector: Reflector) -> None:
        session = new_id()
        for number in range(5):
            with reflector.pair(session) as (client, agent):
                Witness(client, agent).check()
                client.send(close_frame(1000, "done"))
                assert agent.closed() == (1000, "done")
                assert client.closed() == (1000, "")
            wait_until(lambda: session not in reflector.states())
            assert len(reflector.logged("session ended", session=session)) == number + 1

    def test_a_lone_client_goes(self, reflector: Reflector) -> None:
        for data in (close_frame(), None):
            session = new_id()
            with reflector.attach(session, "master") as client:
                if data is None:
                    client.fin()
                    assert client.until_fin() in (b"", b"\x88\x16\x03\xe8the session is over")
                else:
                    client.send(data)
                    assert client.closed() == (1000, "")
            record = reflector.ended(session)
            assert (record["outcome"], record["linked_s"]) == ("lonely", 0)

    def test_both_sides_close_at_once(self, reflector: Reflector) -> None:
        for _ in range(20):
            session = new_id()
            with reflector.pair(session) as (client, agent):
                agent.send(close_frame(1000, "a"))
                client.send(close_frame(1000, "c"))
                client.until_fin()
                agent.until_fin()
            assert reflector.ended(session)["outcome"] == "completed"

    @pytest.mark.parametrize("source", [0, 1], ids=["client", "agent"])
    @pytest.mark.parametrize("way", [Peer.fin, Peer.reset], ids=["fin", "rst"])
    def test_a_source_lost_in_mid_frame_ends_the_sink_without_garbage(
        self, reflector: Reflector, source: int, way: Callable[[Peer], None]
    ) -> None:
        session, payload = new_id(), pattern(300_000)
        with reflector.pair(session) as peers:
            sink = peers[1 - source]
            peers[source].send(frame(BINARY, payload)[:200_000])
            received = sink.take(100_000, Deadline())
            way(peers[source])
            received += sink.until_fin()
            assert received[10:] == payload[: len(received) - 10]
            assert len(received) < len(payload)
        assert reflector.ended(session)["outcome"] == "lost"

    def test_a_close_that_nobody_answers(self) -> None:
        with running(timeouts={"close_timeout": 0.3}) as reflector:
            session = new_id()
            with reflector.pair(session) as (client, agent):
                begun = time.monotonic()
                agent.send(close_frame(1000, "bye"))
                assert client.frame().close == (1000, "bye")
                assert client.until_fin() == b""
                assert 0.25 < time.monotonic() - begun < 5
            assert reflector.ended(session)["outcome"] == "completed"

    def test_a_slow_reader_gets_what_was_sent_before_the_close(self) -> None:
        """However much longer than the time to answer a Close it takes."""
        with running(timeouts={"close_timeout": 0.1}) as reflector:
            # When the last bytes before the Close fit into the kernel's buffers, nothing keeps the session.
            assert any(self._reads_slowly(reflector) for _ in range(20))

    def _reads_slowly(self, reflector: Reflector) -> bool:
        """Whether the session still lived well after the time to answer a Close."""
        session, sent, got = new_id(), hashlib.sha256(), hashlib.sha256()
        with reflector.pair(session) as (client, agent):
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # it is not to hold all that is sent
            piece = pattern(60_000)
            while agent.writable():
                agent.binary(piece)
                sent.update(piece)
            ending = Thread(target=agent.send, args=(close_frame(1000, "all sent"),))
            ending.start()
            while reflector.states().get(session) == "forwarding":
                got.update(client.frame().payload)
            ending.join()
            waited = Deadline(500 * MS)
            wait_until(lambda: waited.passed)
            lived = reflector.states().get(session) == "closing"
            while (message := client.frame()).opcode == BINARY:
                got.update(message.payload)
            assert message.close == (1000, "all sent")
            assert got.digest() == sent.digest()
            return lived

    def test_a_reader_that_is_gone_is_not_waited_for(self) -> None:
        session, timeouts = new_id(), {"close_timeout": 0.1}
        with (
            running("--keepalive", "1", timeouts=timeouts) as reflector,
            reflector.pair(session) as (client, agent),
        ):
            with contextlib.suppress(OSError):  # on a slow machine the silent reader is given up before all is full
                while agent.writable():
                    agent.binary(bytes(60_000))
                agent.fin()
            assert reflector.ended(session)["outcome"] == "lost"
            assert client.quiet() is False
