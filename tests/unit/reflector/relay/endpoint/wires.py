"""A linked pair of endpoints, and the bare sockets of their peers."""

from __future__ import annotations

import socket
from collections.abc import Callable

import gevent

from medusa.protocol.keepalive import Keepalive
from medusa.reflector.relay.endpoint.endpoint import Endpoint
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.pump import Progress
from medusa.session import Side
from medusa.transports.adopt import adopt_plain, adopt_websocket
from tests.frames import BINARY, frame
from tests.unit.reflector.conftest import until


class Wire:
    """An endpoint, its peer's bare socket, and what the endpoint reported."""

    def __init__(self, queue: FairQueue, side: Side, plain: bool) -> None:
        near, self.peer = socket.socketpair()
        for sock in (near, self.peer):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.peer.setblocking(False)
        self.reported: list[Progress] = []
        transport = adopt_plain(near, scratch=queue.scratch) if plain else adopt_websocket(near, scratch=queue.scratch)
        self.endpoint = Endpoint(queue, side, transport, Keepalive(15, 0.0), self._report)

    def _report(self, endpoint: Endpoint, progress: Progress) -> None:
        assert endpoint is self.endpoint
        self.reported.append(progress)

    def received(self) -> bytes:
        """All that has come so far."""
        data = b""
        try:
            while chunk := self.peer.recv(1 << 16):
                data += chunk
        except (BlockingIOError, ConnectionResetError):
            pass
        return data

    def until_received(self, size: int) -> bytes:
        """The next `size` bytes, at least."""
        data = bytearray()

        def enough() -> bool:
            data.extend(self.received())
            return len(data) >= size

        until(enough)
        return bytes(data)

    def at_end(self) -> bool:
        """Whether the endpoint has sent its FIN, and nothing is left before it."""
        try:
            return self.peer.recv(1) == b""
        except BlockingIOError:
            return False

    def fill(self) -> None:
        """Sends until neither the endpoint nor the other side's peer accepts more."""
        data = frame(BINARY, bytes(4096))
        while True:
            gevent.sleep(0)
            try:
                self.peer.send(data)
            except BlockingIOError:
                if self.endpoint.paused:
                    return


Make = Callable[..., tuple[Wire, Wire]]
