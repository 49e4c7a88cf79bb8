"""What time and full buffers do to a session: keepalive, the wait timeout, readers that stop."""

from __future__ import annotations

import hashlib
import os
import time

from tests.peers import BINARY, CLOSE, PING, PONG, TEXT, Peer, frame
from tests.reflectors import Reflector, new_id, running
from tests.waiting import MS, Deadline, wait_until
from tests.witnesses import Witness

INTERVAL = 1.0
ENOUGH = 3.5 * INTERVAL
"""Seconds of silence after which a peer is lost."""
MIB = 1 << 20

REFLECTOR_OPTIONS = ("--keepalive", str(INTERVAL))


def test_silent_peers_are_pinged_and_lost_after_three_intervals(reflector: Reflector) -> None:
    """One that is linked, and one that waits."""
    linked, waiting = new_id(), new_id()
    begun = time.monotonic()
    with reflector.pair(linked) as (silent, other), reflector.attach(waiting, "master") as lonely:
        for number in (1, 2):
            assert silent.frame() == (PING, b"medusa", True)
            assert number * INTERVAL - 0.05 < time.monotonic() - begun
            other.send(frame(PONG, other.frame().payload))
        # A third ping where the reflector stood still.
        assert silent.until_fin() in (b"", frame(PING, b"medusa", key=None))
        assert time.monotonic() - begun > 3 * INTERVAL - 0.05
        assert other.word().close == (1000, "remote connection reset")
        assert lonely.until_fin().count(frame(PING, b"medusa", key=None)) in (2, 3)
    record = reflector.ended(linked)
    assert (record["outcome"], record["reason"]) == ("lost", f"client: silent for {3 * INTERVAL:g} s")
    assert reflector.ended(waiting)["outcome"] == "lonely"


class TestBackpressure:
    def test_a_reader_that_stops(self) -> None:
        with running() as reflector, reflector.pair() as (sink, source):
            Witness(source, sink).check()
            with reflector.memory_grows_less_than(MIB):
                stop_reading(reflector, source, sink)
            Witness(source, sink).check()

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
        with running(timeouts={"close_timeout": 1000.0}) as reflector, reflector.pair() as (client, agent):
            clog(client)
            clog(agent)
            client.reset()
            while (message := agent.frame()).opcode != CLOSE:
                pass
            assert message.close == (1000, "remote connection reset")


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
    assert received(sink, size) == sent


def received(sink: Peer, left: int) -> bytes:
    """The digest of the next bytes."""
    digest = hashlib.sha256()
    while left:
        payload = sink.frame().payload
        digest.update(payload)
        left -= len(payload)
    return digest.digest()
