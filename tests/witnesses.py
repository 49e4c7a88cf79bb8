"""A session that must not notice what others do to its reflector."""

from __future__ import annotations

import contextlib
import time
import uuid
from threading import Thread

from tests.peers import (
    BINARY,
    TEXT,
    Peer,
    frame,
)
from tests.waiting import MS, PATIENCE, Deadline

FLOOD = 200 * MS


class Witness:
    """A session that must not notice what others do."""

    def __init__(self, client: Peer, agent: Peer) -> None:
        self._client = client
        self._agent = agent

    def check(self) -> None:
        """Both ways still work, promptly."""
        token = uuid.uuid4().bytes
        begun = time.monotonic()
        self._client.binary(token)
        self._agent.expect(BINARY, token)
        self._agent.send(frame(TEXT, token.hex().encode()))
        self._client.expect(TEXT, token.hex().encode())
        assert time.monotonic() - begun < PATIENCE / 2

    def bears(self, peer: Peer, data: bytes) -> None:
        """Both ways stay prompt while `peer` sends `data` again and again, as fast as it can; then it is reset."""
        flooding = True

        def flood() -> None:
            with contextlib.suppress(OSError):
                while flooding:
                    peer.sock.sendall(data)

        peer.sock.settimeout(FLOOD)
        sender = Thread(target=flood)
        sender.start()
        try:
            end = Deadline(FLOOD)
            while not end.passed:
                self.check()
        finally:
            flooding = False
            peer.reset()
            sender.join()
