"""Frames that nobody may send: what the sender is told; that nobody else gets or notices any of it."""

from __future__ import annotations

from threading import Thread

import pytest

from tests.peers import BINARY, CLOSE, CONTINUATION, LINKUP, PING, PONG, TEXT, Peer, close_frame, frame
from tests.reflectors import Reflector, Witness, new_id, running
from tests.waiting import Deadline

LARGE = 80_000
EURO = "\u20ac".encode()

BAD_FRAMES: dict[str, tuple[int, bytes]] = {
    "not masked": (1002, frame(TEXT, b"x", key=None)),
    "not masked, its header alone": (1002, frame(BINARY, b"x" * LARGE, key=None)[:2]),
    "reserved bit 1": (1002, frame(TEXT, b"x", rsv=4)),
    "reserved bit 2": (1002, frame(TEXT, b"x", rsv=2)),
    "reserved bit 3": (1002, frame(PING, b"x", rsv=1)),
    **{f"opcode {opcode}": (1002, frame(opcode, b"x")) for opcode in (3, 7, 11, 15)},
    "control above 125": (1002, frame(PING, b"x" * 126)),
    "control above 125, its header alone": (1002, b"\x89\xfe"),
    "control of 64 KiB": (1002, frame(PONG, b"x" * 65536)),
    "fragmented ping": (1002, frame(PING, b"x", fin=False)),
    "fragmented close": (1002, frame(CLOSE, b"", fin=False)),
    "continuation of nothing": (1002, frame(CONTINUATION, b"x")),
    "message in a message": (1002, frame(TEXT, b"x", fin=False) + frame(TEXT, b"y")),
    "large message in a message": (1002, frame(BINARY, b"x", fin=False) + frame(BINARY, b"y" * LARGE)[:14]),
    "length not minimal, 16 bits": (1002, b"\x82\xfe\x00\x7d" + bytes(4 + 125)),
    "length not minimal, 64 bits": (1002, b"\x82\xff" + (65535).to_bytes(8, "big") + bytes(4)),
    "length of 2**63": (1002, b"\x82\xff\x80" + bytes(7 + 4)),
    "length of 2**63 - 1": (1009, b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4)),
    "one byte too long": (1009, b"\x82\xff" + (16 * 1024 * 1024 + 1).to_bytes(8, "big") + bytes(4)),
    "text is not UTF-8": (1007, frame(TEXT, b"\xff")),
    "text is a surrogate": (1007, frame(TEXT, b"\xed\xa0\x80")),
    "text is overlong": (1007, frame(TEXT, b"\xc0\xaf")),
    "text ends early": (1007, frame(TEXT, EURO[:2])),
    "fragmented text is not UTF-8": (1007, frame(TEXT, EURO[:1], fin=False) + frame(CONTINUATION, b"x")),
    "fragmented text ends early": (1007, frame(TEXT, b"x", fin=False) + frame(CONTINUATION, EURO[:2])),
    "close of one byte": (1002, frame(CLOSE, b"\x03")),
    **{f"close code {code}": (1002, close_frame(code)) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)},
    "close reason is not UTF-8": (1007, frame(CLOSE, b"\x03\xe8\xff")),
    "forged linkup": (1008, frame(TEXT, LINKUP)),
    "forged, fragmented": (1008, frame(TEXT, b"med", fin=False) + frame(CONTINUATION, b"usa:{}")),
    "forged, by bytes": (
        1008,
        frame(TEXT, b"m", fin=False)
        + b"".join(frame(CONTINUATION, bytes([byte]), fin=False) for byte in b"edusa")
        + frame(CONTINUATION, b":"),
    ),
    "forged, and nothing else": (1008, frame(TEXT, b"medusa:")),
    "forged, large": (1008, frame(TEXT, b"medusa:" + b"x" * LARGE, key=b"abcd")),
    "forged, large, its start alone": (1008, frame(TEXT, b"medusa:" + b"x" * LARGE)[: 14 + 7]),
}


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

    @pytest.mark.parametrize(("code", "data"), BAD_FRAMES.values(), ids=BAD_FRAMES)
    def test_end_a_session_that_waits(self, reflector: Reflector, witness: Witness, code: int, data: bytes) -> None:
        session = new_id()
        with reflector.attach(session, "master", data) as client:
            assert client.closed()[0] == code
        assert reflector.ended(session)["outcome"] == "ended"

    def test_text_that_turns_bad_after_its_start_was_passed_on_aborts_the_sink(
        self, reflector: Reflector, witness: Witness
    ) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            client.send(frame(TEXT, b"x" * LARGE + b"\xff")[:-1])
            received = agent.take(10, Deadline())
            client.send(b"\xff")
            assert client.closed()[0] == 1007
            assert set(agent.until_fin()) == {ord("x")}
            assert received[:2] == b"\x81\x7f"
        assert reflector.ended(session)["outcome"] == "ended"

    def test_behind_more_than_one_read_and_its_sender_is_heard_to_go(self) -> None:
        session, floods = new_id(), frame(BINARY, bytes(LARGE)) * 20
        with (
            running(timeouts={"close_timeout": 3600}) as reflector,
            reflector.pair(session) as (client, agent),
        ):
            sender = Thread(target=client.send, args=(floods + frame(3),))
            sender.start()
            while (message := agent.frame()).opcode == BINARY:
                pass
            sender.join()
            assert message.close == (1000, "the remote side broke the protocol")
            agent.send(close_frame())
            assert client.closed()[0] == 1002
            client.close()
            assert reflector.ended(session)["outcome"] == "ended"

    def test_who_broke_the_rules_and_does_not_go_is_let_go_of(self, witness: Witness) -> None:
        with running(timeouts={"close_timeout": 0.3}) as reflector:
            session = new_id()
            with reflector.pair(session) as (client, agent):
                client.send(frame(3, b"x"))
                assert agent.closed()[0] == 1000
                assert client.frame().close[0] == 1002
                assert client.until_fin() == b""
                assert reflector.ended(session)["outcome"] == "ended"


class TestFloods:
    """A peer that sends as fast as it can, from a thread, while another session is asked whether it notices."""

    @pytest.mark.parametrize(
        "data",
        [
            frame(PING, b"x" * 125) * 500,
            frame(PONG) * 10_000,
            frame(TEXT) * 10_000,
            frame(BINARY, b"x") * 10_000,
            frame(BINARY, b"x" * (1 << 20)),
            frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y", fin=False) * 10_000 + frame(CONTINUATION),
            frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"", fin=False) * 10_000 + frame(CONTINUATION),
        ],
        ids=["pings", "pongs", "empty texts", "single bytes", "1 MiB", "1-byte fragments", "empty fragments"],
    )
    def test_stops_nobody(self, reflector: Reflector, witness: Witness, data: bytes) -> None:
        with reflector.pair() as (client, agent):
            drain = Thread(target=swallow, args=(agent,))
            drain.start()
            witness.bears(client, data)
            agent.fin()
            drain.join()

    @pytest.mark.parametrize("data", [frame(PING, b"x" * 125) * 500, frame(BINARY, b"x") * 10_000])
    def test_of_a_client_that_waits_stops_nobody(self, reflector: Reflector, witness: Witness, data: bytes) -> None:
        with reflector.attach(new_id(), "master") as client:
            witness.bears(client, data)

    def test_after_a_breach_stops_nobody_either(self, reflector: Reflector, witness: Witness) -> None:
        with reflector.pair() as (client, _):
            client.send(frame(3))
            witness.bears(client, b"x" * (1 << 20))

    def test_of_pings_whose_pongs_nobody_reads_takes_no_memory(self, reflector: Reflector, witness: Witness) -> None:
        with reflector.pair() as (client, agent):
            client.text("warm up")
            agent.expect(TEXT, b"warm up")
            data = frame(PING, b"x" * 125) * 1000
            with reflector.memory_grows_less_than(1 << 20):
                for _ in range(200):
                    client.send(data)
                client.text("end")
                agent.expect(TEXT, b"end")


def swallow(peer: Peer) -> None:
    try:
        while peer.sock.recv(1 << 20):
            pass
    except OSError:
        pass
