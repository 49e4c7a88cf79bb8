"""Busy pairs beside each other, and beside a user who types: every byte arrives, and every pair makes progress."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from tests.peers import BINARY, PING, PONG, Peer, frame
from tests.reflectors import Reflector
from tests.waiting import PATIENCE, wait_until
from tests.witnesses import Witness

PAIRS = 4
MIB = 1 << 20
SHARE = 8 * MIB


class Flood:
    """Sends frames of many sizes through a pair, and reads them. `done` compares what has arrived."""

    def __init__(self, source: Peer, sink: Peer, sizes: list[int]) -> None:
        self._source, self._sink, self._sizes = source, sink, sizes
        self._sent, self._heard = hashlib.sha256(), hashlib.sha256()
        self._threads = [Thread(target=self._send), Thread(target=self._read)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        for number, size in enumerate(self._sizes):
            payload = os.urandom(min(size, 1024)) * (size // min(size, 1024) or 1)
            self._sent.update(payload)
            ping = frame(PING, b"ping") if number % 100 == 0 else b""
            self._source.send(frame(BINARY, payload, key=b"\1\2\3\4") + ping)

    def _read(self) -> None:
        for _ in self._sizes:
            while (message := self._sink.frame()).opcode in (PING, PONG):  # not answered: another thread sends there
                pass
            assert message.opcode == BINARY
            self._heard.update(message.payload)

    def done(self) -> bool:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        return self._heard.digest() == self._sent.digest()

    @property
    def under_way(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)


@pytest.mark.parametrize("size", [1024, 1 << 20])
def test_typing_beside_busy_pairs(reflector: Reflector, size: int) -> None:
    with contextlib.ExitStack() as stack:
        witness = Witness(*stack.enter_context(reflector.pair()))
        pairs = [stack.enter_context(reflector.pair()) for _ in range(PAIRS)]
        floods = [Flood(agent, client, [size] * (SHARE // size)) for client, agent in pairs]
        keystrokes = 0
        while any(flood.under_way for flood in floods):
            witness.check()
            keystrokes += 1
        assert [flood.done() for flood in floods] == [True] * PAIRS
        assert keystrokes


_FLOOD = """
import socket, sys, threading
def ask():
    while True:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
            sock.sendall(sys.argv[2].encode())
            while sock.recv(4096):
                pass
for _ in range(16):
    threading.Thread(target=ask).start()
"""
"""Sends a request again and again, on as many connections at once as the range says."""


@contextlib.contextmanager
def flooded(port: int, request: str) -> Iterator[None]:
    command = [sys.executable, "-c", _FLOOD, str(port), request]
    floods = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        yield
    finally:
        for flood in floods:
            flood.kill()
            flood.wait()


def numbers(reflector: Reflector) -> tuple[float, float]:
    """How many connections were accepted, and how many bytes agents have sent, so far."""
    text = reflector.get("/metrics").rest.decode()
    names = (r"medusa_connections_accepted_total", r'medusa_relayed_bytes_total\{sender="agent"\}')
    accepted, relayed = (float(found[1]) for name in names if (found := re.search(rf"^{name} (\S+)", text, re.M)))
    return accepted, relayed


@pytest.mark.parametrize("target", ["/healthz", "/attach/nobody/slave"])
def test_a_busy_pair_beside_a_flood_of_requests(reflector: Reflector, target: str) -> None:
    """Without a share of its own it would move some 3 KB for each request."""
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with reflector.pair() as (client, agent):
        moving = [Thread(target=send_forever, args=(agent,)), Thread(target=drop_forever, args=(client,))]
        for thread in moving:
            thread.start()
        try:
            with flooded(reflector.port, request):
                begun = numbers(reflector)
                wait_until(lambda: numbers(reflector)[0] >= begun[0] + 100, "the flood")
                before = numbers(reflector)
                wait_until(lambda: numbers(reflector)[0] >= before[0] + 200, "more of it")
                after = numbers(reflector)
        finally:
            for peer in (agent, client):
                peer.sock.shutdown(socket.SHUT_RDWR)
            for thread in moving:
                thread.join()
    assert (after[1] - before[1]) / (after[0] - before[0]) > 30_000


def send_forever(peer: Peer) -> None:
    data = frame(BINARY, bytes(MIB))
    with contextlib.suppress(OSError):
        while True:
            peer.sock.sendall(data)


def drop_forever(peer: Peer) -> None:
    with contextlib.suppress(OSError):
        while peer.sock.recv(MIB):
            pass
