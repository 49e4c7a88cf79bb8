"""Busy pairs beside each other, and beside a user who types: every byte arrives, and every pair makes progress."""

from __future__ import annotations

import contextlib
import hashlib
import os
from threading import Thread

import pytest

from tests.peers import BINARY, PING, PONG, Peer, frame
from tests.reflectors import Reflector, Witness
from tests.waiting import Deadline

PAIRS = 4
SHARE = 8 << 20


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
            thread.join(Deadline(60).left)
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
