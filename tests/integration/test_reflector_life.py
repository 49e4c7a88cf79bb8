"""What time and full buffers do to a session: keepalive, the wait timeout, readers that stop."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Thread

import pytest

from tests.peers import BINARY, CLOSE, LINKUP, PING, PONG, TEXT, Peer, frame
from tests.reflectors import ROOT, Reflector, Witness, new_id, running
from tests.waiting import MS, PATIENCE, Deadline, wait_until

INTERVAL = 1.0
ENOUGH = 3.5 * INTERVAL
"""Seconds of silence after which a peer is lost."""
MIB = 1 << 20

ANSWERING = """
import socket, sys
from tests.peers import PING, PONG, Peer, frame
peer = Peer(socket.socket(fileno=int(sys.argv[1])))
print("ready", flush=True)
while True:
    peer.send(frame(PONG, peer.frame().payload))
    print("answered", flush=True)
"""


REFLECTOR_OPTIONS = ("--keepalive", str(INTERVAL))


class TestKeepalive:
    @pytest.mark.parametrize("side", [0, 1], ids=["client", "agent"])
    def test_a_silent_peer_is_pinged_and_lost_after_three_intervals(self, reflector: Reflector, side: int) -> None:
        session = new_id()
        begun = time.monotonic()
        with reflector.pair(session) as peers:
            silent, other = peers[side], peers[1 - side]
            for number in (1, 2):
                assert silent.frame() == (PING, b"medusa", True)
                assert number * INTERVAL - 0.05 < time.monotonic() - begun
                other.send(frame(PONG, other.frame().payload))
            assert silent.until_fin() == b""
            assert 3 * INTERVAL - 0.05 < time.monotonic() - begun < PATIENCE
            reason = "remote connection " + ("reset", "error")[side]
            assert other.word().close == (1000, reason)
        record = reflector.ended(session)
        assert record["outcome"] == "lost"
        assert record["reason"] == f"{('client', 'agent')[side]}: silent for {3 * INTERVAL:g} s"

    def test_a_silent_client_that_waits(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.attach(session, "master") as client:
            # A third where the reflector stood still.
            assert client.until_fin().count(frame(PING, b"medusa", key=None)) in (2, 3)
        assert reflector.ended(session)["outcome"] == "lonely"

    @pytest.mark.parametrize(
        "life", [None, b"\x82\xfe\xff\xff" + bytes(1000)], ids=["pongs", "single bytes of a frame"]
    )
    def test_any_byte_is_a_sign_of_life(self, reflector: Reflector, life: bytes | None) -> None:
        session, enough = new_id(), Deadline(ENOUGH)
        with reflector.pair(session) as peers:
            at = 0
            while not enough.passed:
                for peer in peers:
                    if life:
                        peer.send(life[at : at + 1])
                    elif not peer.quiet(1 * MS):
                        peer.send(frame(PONG, peer.frame().payload))
                at += 1
                peers[0].quiet(50 * MS)
            assert reflector.states() == {session: "forwarding"}

    def test_a_stopped_process_is_noticed(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            command = [sys.executable, "-c", ANSWERING, str(agent.sock.fileno())]
            process = subprocess.Popen(command, cwd=ROOT, pass_fds=[agent.sock.fileno()], stdout=subprocess.PIPE)
            assert process.stdout is not None
            try:
                while not select.select([process.stdout], [], [], 50 * MS)[0]:
                    client.send(frame(PONG))
                    agent.send(frame(PONG))
                assert process.stdout.readline() == b"ready\n"
                client.send(frame(PONG))
                assert process.stdout.readline() == b"answered\n"
                process.send_signal(signal.SIGSTOP)
                assert client.word().close == (1000, "remote connection error")
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
        assert reflector.ended(session)["reason"].startswith("agent: silent for")

    def test_who_is_not_read_is_not_judged_but_who_does_not_read_is(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            sent, left = clog(agent, client)
            enough = Deadline(ENOUGH)
            while not enough.passed:  # the agent is silent all that time
                client.send(frame(PONG))
                client.quiet(50 * MS)
                assert reflector.states() == {session: "forwarding"}
            got = hashlib.sha256()
            while left:
                message = client.frame()
                got.update(message.payload if message.opcode == BINARY else b"")
                left -= len(message.payload) if message.opcode == BINARY else 0
                client.send(frame(PONG))
            assert got.digest() == sent

            clog(agent, client)
            begun = time.monotonic()
            assert agent.word().close == (1000, "remote connection reset")
            assert time.monotonic() - begun < PATIENCE
        assert reflector.ended(session)["reason"] == f"client: silent for {3 * INTERVAL:g} s"

    def test_who_cannot_be_asked_inside_a_frame_is_not_judged(self, reflector: Reflector) -> None:
        """Nor does a ping get there: the frame would be torn."""
        session, enough = new_id(), Deadline(ENOUGH)
        with reflector.pair(session) as (client, agent):
            agent.send(frame(BINARY, bytes(MIB))[:1000])
            while not enough.passed:  # the client is silent all that time
                agent.send(bytes(1))
                client.quiet(50 * MS)
                assert reflector.states() == {session: "forwarding"}

    def test_a_slow_reader_in_the_middle_of_a_frame_is_alive(self, reflector: Reflector) -> None:
        session, enough = new_id(), Deadline(ENOUGH)
        size = 16 * MIB
        with reflector.pair(session) as (client, agent):
            sender = Thread(target=agent.send, args=(frame(BINARY, bytes(size)),))
            sender.start()
            try:
                assert client.take(10, Deadline()) == b"\x82\x7f" + size.to_bytes(8, "big")
                while not enough.passed:
                    size -= len(client.take(128 * 1024, Deadline()))
                    agent.quiet(50 * MS)
                    assert reflector.states() == {session: "forwarding"}
                client.take(size, Deadline())
            finally:
                sender.join()

    def test_who_reads_slowly_and_says_nothing_gets_all(self, reflector: Reflector) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            sent, _ = clog(agent)
            agent.close()
            got, enough = hashlib.sha256(), Deadline(ENOUGH)
            while (message := client.frame()).opcode != CLOSE:
                got.update(message.payload if message.opcode == BINARY else b"")
                let_pass(60 * MS)
            assert got.digest() == sent
            assert enough.passed
        assert reflector.ended(session)["reason"].startswith("agent: ")


class TestWaitTimeout:
    @pytest.mark.parametrize("pulse", [0.125, 0.5, 60], ids=["due with a pulse", "due with the first pulse", "alone"])
    def test_no_agent_came(self, pulse: float) -> None:
        session = new_id()
        timeouts = {"wait_interval": pulse}
        with running("--wait-timeout", "0.5", timeouts=timeouts) as reflector:
            with reflector.attach(session, "master") as client:
                while (message := client.frame()).opcode == TEXT:
                    pass
                assert message.close == (1000, "no agent came in time")
                assert reflector.states() == {session: "closing"}
                client.send(frame(CLOSE, message.payload))
                assert client.until_fin() == b""
            record = reflector.ended(session)
            assert (record["outcome"], record["linked_s"]) == ("expired", 0)
            assert 0.5 <= record["waited_s"] < PATIENCE

    def test_an_agent_in_time_ends_the_wait(self) -> None:
        with running("--wait-timeout", "3") as reflector, reflector.pair() as (client, agent):
            let_pass(3.2)
            Witness(client, agent).check()


class TestBackpressure:
    @pytest.mark.parametrize("side", [0, 1], ids=["client sends", "agent sends"])
    def test_a_reader_that_stops(self, side: int) -> None:
        with running() as reflector, reflector.pair() as peers:
            source, sink = peers[side], peers[1 - side]
            Witness(source, sink).check()
            with reflector.memory_grows_less_than(MIB):
                stop_reading(reflector, source, sink)
            Witness(source, sink).check()

    def test_both_readers_stop(self) -> None:
        with running() as reflector, reflector.pair() as peers:
            with reflector.memory_grows_less_than(MIB):
                sent = [clog(peer) for peer in peers]
                for source, sink in ((0, 1), (1, 0)):
                    got, left = hashlib.sha256(), sent[source][1]
                    while left:
                        payload = peers[sink].frame().payload
                        got.update(payload)
                        left -= len(payload)
                    assert got.digest() == sent[source][0]
            Witness(*peers).check()

    def test_a_large_frame_takes_no_memory(self) -> None:
        data = frame(BINARY, bytes(16 * MIB))
        with running() as reflector, reflector.pair() as (client, agent):
            Witness(client, agent).check()
            with reflector.memory_grows_less_than(MIB):
                assert client.through(data, agent) == (BINARY, data[14:], True)

    @pytest.mark.parametrize("way", [Peer.close, Peer.reset], ids=["fin", "rst"])
    def test_a_source_that_goes_while_it_is_not_read(self, reflector: Reflector, way: Callable[[Peer], None]) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            sent, _ = clog(agent, client)
            way(agent)
            got = hashlib.sha256()
            while (message := client.frame()).opcode != CLOSE:
                got.update(message.payload if message.opcode == BINARY else b"")
                client.send(frame(PONG) if message.opcode == PING else b"")
            assert message.close == (1000, "remote connection error")
            assert got.digest() == sent or way is Peer.reset
        assert reflector.ended(session)["outcome"] == "lost"

    @pytest.mark.parametrize("way", [Peer.close, Peer.reset], ids=["fin", "rst"])
    def test_a_reader_that_goes_instead_of_reading(self, reflector: Reflector, way: Callable[[Peer], None]) -> None:
        session = new_id()
        with reflector.pair(session) as (client, agent):
            clog(agent, client)
            begun = time.monotonic()
            way(client)
            assert agent.closed() == (1000, "remote connection reset")
            assert time.monotonic() - begun < 4, "the agent's answer was waited for and read"
        assert reflector.ended(session)["outcome"] == "lost"

    def test_a_client_that_hangs_up_after_bytes_that_an_agent_does_not_read(self) -> None:
        """No shell may run on for a user who is gone, however busy its terminal is."""
        session = new_id()
        with (
            running("--keepalive", "1", timeouts={"close_timeout": 0.3}) as reflector,
            reflector.pair(session) as (client, agent),
            agent.breathing(),
        ):
            while unread(client) == 0:
                client.send(frame(BINARY, bytes(50_000)))
            client.fin()
            record = reflector.ended(session)
            assert record["outcome"] == "lost"
            assert record["reason"].startswith("client: ")

    def test_an_agent_that_hangs_up_after_bytes_that_a_client_does_not_read_yet(self) -> None:
        """However long the user's pager stands still, what the job wrote last is there."""
        session, enough = new_id(), Deadline(ENOUGH)
        timeouts = {"close_timeout": 0.3}
        options = ("--keepalive", str(INTERVAL))
        with running(*options, timeouts=timeouts) as reflector, reflector.pair(session) as (client, agent):
            sent, _ = clog(agent, client)
            agent.close()
            while not enough.passed:
                client.send(frame(PONG))
                client.quiet(50 * MS)
            got = hashlib.sha256()
            while (message := client.frame()).opcode != CLOSE:
                got.update(message.payload if message.opcode == BINARY else b"")
                client.send(frame(PONG))
            assert got.digest() == sent

    def test_a_side_that_is_reset_while_nobody_reads(self) -> None:
        with running() as reflector, reflector.pair() as (client, agent):
            clog(client)
            clog(agent)
            begun = time.monotonic()
            client.reset()
            while (message := agent.frame()).opcode != CLOSE:
                pass
            assert message.close == (1000, "remote connection reset")
            assert time.monotonic() - begun < 4, "less than the time to answer a Close"

    def test_a_client_that_is_clogged_before_linkup(self) -> None:
        """The reflector does not spin, and linkup and all else come in the end."""
        session, ping = new_id(), frame(PING, b"x" * 125)
        with running() as reflector, reflector.attach(session, "master") as client:
            for _ in range(120):
                client.send(ping * 1000)
            with reflector.attach(session, "slave", frame(BINARY, b"hello")) as agent:
                agent.expect(TEXT, LINKUP)
                wait_until(reflector.rests)
                while (message := client.frame()).opcode == PONG:
                    pass
                assert message == (TEXT, LINKUP, True)
                client.expect(BINARY, b"hello")


def unread(source: Peer) -> int:
    """Bytes of `source` that the reflector leaves to its kernel, which has all that was sent."""
    ports = [b"%04X" % source.sock.getsockname()[1], b"%04X" % source.sock.getpeername()[1]]
    queues: list[bytes] = []

    def stands_still() -> bool:
        with open("/proc/net/tcp", "rb") as file:
            # The machine may have a hundred thousand: a look must not take longer than a keepalive.
            lines = [line.split() for line in file if ports[0] in line and ports[1] in line]
        both = {line[1].split(b":")[1]: line[4] for line in lines if sorted(ports) == sorted(port_pair(line))}
        sent, queue = both[ports[0]].split(b":")[0], both[ports[1]].split(b":")[1]
        queues.append(queue)
        return int(sent, 16) == 0 and (int(queue, 16) == 0 or queues.count(queue) > 3)

    wait_until(stands_still)
    return int(queues[-1], 16)


def port_pair(line: list[bytes]) -> list[bytes]:
    return [line[1].split(b":")[1], line[2].split(b":")[1]]


def let_pass(seconds: float) -> None:
    moment = Deadline(seconds)
    wait_until(lambda: moment.passed)


def clog(source: Peer, alive: Peer | None = None) -> tuple[bytes, int]:
    """Send until nothing is taken any more, with signs of life of `alive`; the digest and the size of what was sent."""
    sent, size, piece = hashlib.sha256(), 0, os.urandom(50_000)
    while source.writable():
        source.send(frame(BINARY, piece))
        sent.update(piece)
        size += len(piece)
        if alive is not None:
            alive.send(frame(PONG))
    return sent.digest(), size


def stop_reading(reflector: Reflector, source: Peer, sink: Peer) -> None:
    """`sink` reads nothing until its source is stuck: the other way goes on, and then nothing is missing."""
    sent, size = clog(source)
    assert size > MIB, "the buffers of the kernel hold that much"
    for number in range(100):
        sink.send(frame(TEXT, b"%d" % number))
        source.expect(TEXT, b"%d" % number)
    wait_until(reflector.rests)
    got = hashlib.sha256()
    while size:
        payload = sink.frame().payload
        got.update(payload)
        size -= len(payload)
    assert got.digest() == sent
