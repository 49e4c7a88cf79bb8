"""A TCP proxy that cuts its connections after random numbers of bytes, from a seed."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator

KINDS = ("reset", "reset", "fin", "half")
"""How a connection ends: both ends get a reset; both get a FIN; or one gets a FIN, and the other one a reset."""

_RESET = struct.pack("ii", 1, 0)


class CutProxy:
    """Passes connections on to a port of 127.0.0.1, and cuts each of them.

    Args:
        port: where the connections lead.
        seed: of the random numbers. The same connection, by its number, is cut after as many bytes in each run.
        mean: bytes that a connection passes on before it is cut, on average, in both directions together.
        spared: the first connections, which are cut only after 64 KiB: before that, client and agent do not know yet
            whether they can come back.

    Attributes:
        port: that of the proxy.
        cuts: how many connections were cut.
        off: set it to True to cut no more.
        refuses: set it to True to close new connections at once.
    """

    def __init__(self, port: int, seed: int, mean: int, spared: int = 0) -> None:
        self._to, self._seed, self._mean, self._spared = port, seed, mean, spared
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._server.getsockname()[1]
        self.cuts = self._count = 0
        self.off = self.refuses = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def cut_all(self) -> None:
        """Resets all connections that are open now."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self.refuses:
                near.close()
                continue
            self._count += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                near.close()
                continue
            link = _Link(self, near, far, random.Random(f"{self._seed}/{self._count}"))
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            for thread in link.threads:
                self._threads.append(thread)
                thread.start()

    def budget(self, numbers: random.Random) -> int:
        """After how many bytes the present connection is cut."""
        least = 64 * 1024 if self._count <= self._spared else 1
        return least + int(numbers.expovariate(1 / self._mean))


class _Link:
    """One connection, whose directions have a thread each."""

    def __init__(self, proxy: CutProxy, near: socket.socket, far: socket.socket, numbers: random.Random) -> None:
        self._proxy, self._numbers = proxy, numbers
        self._kind = numbers.choice(KINDS)
        self._ends = (near, far)
        self._ended = False
        self._running = 2
        with proxy._lock:
            proxy._open.update(self._ends)
        for sock in self._ends:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = proxy.budget(numbers)
        self.threads = [
            threading.Thread(target=self._pass, args=(near, far), daemon=True),
            threading.Thread(target=self._pass, args=(far, near), daemon=True),
        ]

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while True:
                data = source.recv(min(65536, self._left) if self._left > 0 else 65536)
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    break
                target.sendall(data)
                if self._has_passed(len(data)):
                    self._cut()
                    break
        except OSError:
            self._cut(counts=False)
        finally:
            self._leave()

    def _has_passed(self, count: int) -> bool:
        """Notes that so many bytes were passed on. Returns whether it is time to cut the connection."""
        with self._proxy._lock:
            self._left -= count
            return self._left <= 0 and not self._proxy.off

    def _cut(self, *, counts: bool = True) -> None:
        with self._proxy._lock:
            if self._ended:
                return
            self._ended = True
            self._proxy.cuts += counts
        resets = {"reset": self._ends, "fin": (), "half": self._ends[:1]}[self._kind]
        for sock in self._ends:
            with contextlib.suppress(OSError):
                if sock in resets:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.shutdown(socket.SHUT_RDWR)

    def _leave(self) -> None:
        """Closes both ends after both directions have ended."""
        with self._proxy._lock:
            self._running -= 1
            if self._running:
                return
            self._proxy._open.difference_update(self._ends)
        for sock in self._ends:
            sock.close()


@contextlib.contextmanager
def cuts(port: int, seed: int, mean: int, spared: int = 3) -> Iterator[CutProxy]:
    """A proxy in front of a reflector's port."""
    proxy = CutProxy(port, seed, mean, spared)
    try:
        yield proxy
    finally:
        proxy.close()
