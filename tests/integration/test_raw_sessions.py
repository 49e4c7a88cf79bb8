"""Sessions over the raw port: every pair of kinds, how each ends, and that a FIN between plain peers is passed on."""

from __future__ import annotations

import itertools
import signal
from threading import Thread

import pytest

from medusa.protocol.control import Start, build
from tests.frames import raw_frame
from tests.peers import BINARY, CLOSE, TEXT, Peer, close_frame, frame
from tests.rawpeers import FramedPeer, PlainPeer, pair, plain
from tests.reflectors import Reflector, new_id, running
from tests.waiting import PATIENCE, Deadline, wait_until

KINDS = ("websocket", "framed", "plain")
MIXES = list(itertools.product(KINDS, KINDS))
MEGABYTE = bytes(range(256)) * 4096
HUNG_UP = (1000, "end of the raw stream")
START = build(Start()).encode()


REFLECTOR_OPTIONS = ("--raw-port", "0")


def is_plain(peer: Peer) -> bool:
    return isinstance(peer, PlainPeer) and not isinstance(peer, FramedPeer)


def wrapped(peer: Peer, opcode: int, payload: bytes = b"") -> bytes:
    """A message as `peer` writes it."""
    if is_plain(peer):
        return payload if opcode == BINARY else b""
    return raw_frame(opcode, payload) if isinstance(peer, FramedPeer) else frame(opcode, payload)


def bytes_of(peer: Peer, size: int) -> bytes:
    """The next bytes that it hears, all of binary messages."""
    if is_plain(peer):
        return peer.take(size, Deadline())
    data = b""
    while len(data) < size:
        opcode, payload, _ = peer.frame()
        assert opcode == BINARY
        data += payload
    return data


def ready(client: Peer, agent: Peer) -> None:
    """A plain client's agent is told to start, on the client's behalf."""
    if is_plain(client) and not is_plain(agent):
        agent.expect(TEXT, START)


@pytest.mark.parametrize(("client_kind", "agent_kind"), MIXES)
def test_bytes_pass_both_ways(reflector: Reflector, client_kind: str, agent_kind: str) -> None:
    with pair(reflector, client_kind, agent_kind) as (client, agent):
        ready(client, agent)
        for source, sink in ((client, agent), (agent, client)):
            for data in (b"\xff\0", b"medusa:", MEGABYTE):
                sender = Thread(target=source.send, args=(wrapped(source, BINARY, data),))
                sender.start()
                assert bytes_of(sink, len(data)) == data
                sender.join()


@pytest.mark.parametrize(("client_kind", "agent_kind"), [mix for mix in MIXES if mix != ("plain", "plain")])
@pytest.mark.parametrize("first", ["client", "agent"])
def test_a_polite_end(reflector: Reflector, client_kind: str, agent_kind: str, first: str) -> None:
    session = new_id()
    with pair(reflector, client_kind, agent_kind, session) as (client, agent):
        ready(client, agent)
        source, sink = (client, agent) if first == "client" else (agent, client)
        source.send(wrapped(source, BINARY, b"last words"))
        if is_plain(source):
            source.fin()
        elif isinstance(source, FramedPeer):
            source.send(raw_frame(CLOSE, b"\x03\xe8done"))
        else:
            source.send(close_frame(1000, "done"))
        assert bytes_of(sink, 10) == b"last words"
        if is_plain(sink):
            assert sink.until_fin() == b""
            sink.close()
        else:
            assert sink.closed() == (HUNG_UP if is_plain(source) else (1000, "done"))
        if not is_plain(source):
            assert source.frame().close == (1000, "")
        assert source.until_fin() == b""
    record = reflector.ended(session)
    reason = HUNG_UP[1] if is_plain(source) else "done"
    assert (record["outcome"], record["reason"]) == ("completed", f"{first}: closed ({reason})")


@pytest.mark.parametrize(("client_kind", "agent_kind"), MIXES)
def test_a_reset_is_a_loss(reflector: Reflector, client_kind: str, agent_kind: str) -> None:
    session = new_id()
    with pair(reflector, client_kind, agent_kind, session) as (client, agent):
        ready(client, agent)
        client.reset()
        if is_plain(agent):
            assert agent.until_fin() == b""
        else:
            assert agent.closed() == (1000, "remote connection reset")
    assert reflector.ended(session)["outcome"] == "lost"


class TestPlainToPlain:
    """What no other pair has: each direction ends by itself."""

    def test_a_fin_waits_until_a_slow_reader_has_taken_the_bytes_before_it(self, reflector: Reflector) -> None:
        session, size = new_id(), 24 << 20
        with pair(reflector, "plain", "plain", session) as (client, agent):
            client.fin()
            assert agent.until_fin() == b""

            def send() -> None:
                for _ in range(size >> 20):
                    agent.send(MEGABYTE)
                agent.fin()

            sender = Thread(target=send)
            sender.start()
            wait_until(lambda: not agent.writable())
            assert reflector.states()[session] == "forwarding"
            assert client.until_fin() == MEGABYTE * (size >> 20)
            sender.join()
        assert reflector.ended(session)["outcome"] == "completed"

    def test_an_agent_that_has_said_all_before_it_was_linked(self, reflector: Reflector) -> None:
        session = new_id()
        with plain(reflector, session, "client") as client:
            assert client.line() == b"OK waiting"
            with plain(reflector, session, "agent", b"all of it") as agent:
                agent.fin()
                assert client.until_fin() == b"OK linked\nall of it"
                client.send(b"thanks")
                client.fin()
                assert agent.until_fin() == b"OK linked\nthanks"
        assert reflector.ended(session)["outcome"] == "completed"

    @pytest.mark.parametrize("half", [False, True])
    def test_a_reflector_that_stops(self, half: bool) -> None:
        with running("--raw-port", "0") as reflector:
            session = new_id()
            with pair(reflector, "plain", "plain", session) as (client, agent):
                if half:
                    client.fin()
                    assert agent.until_fin() == b""
                reflector.signal(signal.SIGTERM)
                assert client.until_fin() == b""
                assert agent.until_fin() == b""
                agent.close()
                client.close()
                assert reflector.process.wait(PATIENCE) == 0
            assert reflector.ended(session)["outcome"] == "shut_down"
