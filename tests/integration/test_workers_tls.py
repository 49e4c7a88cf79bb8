"""Several processes with TLS: bytes that one decrypts reach the other unchanged."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
from collections.abc import Iterator

import pytest

from medusa.protocol.messages import Kind
from medusa.protocol.websocket.relay import frame_header
from tests.integration import test_reflector_life as life
from tests.integration.test_reflector_process import GOING
from tests.integration.test_reflector_tls import MIB, OPTIONS
from tests.integration.test_workers import arrives_early
from tests.peers import BINARY, Peer, frame
from tests.reflectors import Reflector, new_id, running
from tests.waiting import MS, PATIENCE, Deadline, wait_until
from tests.witnesses import Witness
from tests.workers import handed_over, homes, pids

WORKERS = ("--workers", "2", *OPTIONS)
PIECE = 50_000


REFLECTOR_OPTIONS = WORKERS


@contextlib.contextmanager
def proxied_pair(reflector: Reflector, ends: int = 2) -> Iterator[tuple[Peer, Peer, str]]:
    """A pair of which so many ends were accepted by another worker than the owner, and its id."""
    while True:
        before, session = handed_over(reflector), new_id()
        with reflector.pair(session) as (client, agent):
            if handed_over(reflector) - before == ends:
                yield client, agent, session
                return


@pytest.mark.parametrize("ends", [1, 2])
def test_bulk_both_ways_at_once(reflector: Reflector, ends: int) -> None:
    with proxied_pair(reflector, ends) as (client, agent, _):
        pieces = [os.urandom(PIECE) for _ in range(100)]
        wanted = b"".join(unmasked(piece) for piece in pieces)
        data = b"".join(frame(BINARY, piece) for piece in pieces)
        assert exchange([client.sock, agent.sock], data, len(wanted)) == [wanted, wanted]


def unmasked(payload: bytes) -> bytes:
    return frame_header(Kind.BINARY, len(payload)) + payload


def exchange(socks: list[socket.socket], data: bytes, size: int) -> list[bytes]:
    """Each sends `data` and hears `size` bytes. In one thread: an SSLSocket takes no reader beside a writer."""
    left, heard, deadline = [memoryview(data)] * len(socks), [bytearray() for _ in socks], Deadline()
    for sock in socks:
        sock.setblocking(False)
    while any(len(part) < size for part in heard):
        assert not deadline.passed
        for at, sock in enumerate(socks):
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if left[at]:
                    left[at] = left[at][sock.send(left[at][:PIECE]) :]
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                heard[at] += sock.recv(PIECE)
        select.select(socks, [sock for at, sock in enumerate(socks) if left[at]], [], 50 * MS)
    return [bytes(part) for part in heard]


def test_bytes_after_the_head(reflector: Reflector) -> None:
    before = handed_over(reflector)
    while handed_over(reflector) < before + 6:
        arrives_early(reflector, new_id(), [os.urandom(size) for size in (1, 0, 300, PIECE)])


def test_a_reader_that_stops() -> None:
    with running(*WORKERS) as reflector, proxied_pair(reflector) as (client, agent, _):
        Witness(client, agent).check()
        with reflector.memory_grows_less_than(3 * MIB):
            life.stop_reading(reflector, client, agent)
        Witness(client, agent).check()


def test_a_worker_that_is_killed_takes_along_what_it_decrypts() -> None:
    with running(*WORKERS, check=False) as reflector, proxied_pair(reflector) as (client, agent, session):
        home = homes(reflector)[session]
        os.kill(pids(reflector)[3 - home], signal.SIGKILL)
        for peer in (client, agent):
            with contextlib.suppress(OSError):
                assert peer.until_fin() == b""
        assert reflector.ended(session)["outcome"] == "lost"
        wait_until(lambda: len(pids(reflector)) == 2)
        with reflector.pair() as pair:
            Witness(*pair).check()


def test_the_drain_timeout() -> None:
    with running(*WORKERS, "--drain-timeout", "0.2") as reflector, proxied_pair(reflector) as (client, agent, _):
        reflector.signal(signal.SIGTERM)
        assert (client.closed(), agent.closed()) == (GOING, GOING)
        assert reflector.process.wait(PATIENCE) == 0
