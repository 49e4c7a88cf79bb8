"""TLS for a session that lives in another worker: decrypted here, passed on through a unix socket, and the reverse.

TLS's state cannot leave its process. The cost: two greenlets and two more descriptors for the link, a copy each
way, and two more system calls for each. Nothing is made up and nothing dropped that the owner could still have got.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

import gevent
from gevent import monkey
from gevent.socket import wait_read, wait_write

from medusa.transports.socket_stream import SocketStream

SIZE = 64 * 1024
"""Bytes in hand, each way, at the most."""

T = TypeVar("T")

_poll = monkey.get_original("select", "poll")
_HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP


class Bridge:
    """Owns both streams. Its greenlet ends when both ways have.

    Args:
        outer: the peer's, through TLS.
        inner: the owner's end.
        patience: seconds without a sign of life after which what is left of a link counts as lost. As long as both of
            its ends are there, that is the owner's to judge.
        lenient: once the owner is gone, any byte that the peer sends is such a sign; else that it takes something is.
    """

    def __init__(self, outer: SocketStream, inner: SocketStream, patience: float, lenient: bool) -> None:
        self._outer = outer
        self._inner = inner
        self._patience = patience
        self._lenient = lenient
        self._over = False  # the owner takes nothing any more: what still comes is dropped, and not even decrypted
        self._heard = time.monotonic()
        self.greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        back = gevent.spawn(self._outward)
        try:
            self._inward()
            back.join()
        except OSError:
            pass  # the peer is gone
        finally:
            back.kill()  # a descriptor that is closed while somebody waits for it ends the process
            self._outer.close()
            self._inner.close()

    def _inward(self) -> None:
        while data := self._patiently(lambda: self._outer.recv(SIZE), self._readable, self._outer):
            self._heard = time.monotonic()
            if not self._over:
                try:
                    self._send(self._inner, data)
                except OSError:
                    self._over = True
        self._inner.shutdown()

    def _outward(self) -> None:
        try:
            while data := self._from_owner():
                self._send(self._outer, data)
            self._over = True
            self._outer.shutdown()
        except OSError:
            self.greenlet.kill(block=False)

    def _from_owner(self) -> bytes:
        try:
            return self._patiently(lambda: self._inner.recv(SIZE), self._readable, self._inner)
        except OSError:  # it did not read all that was sent to it
            return b""

    def _send(self, sink: SocketStream, data: bytes) -> None:
        view = memoryview(data)
        while view:
            taken = self._patiently(lambda: sink.send(view), self._writable, sink)  # noqa: B023
            view = view[taken:]

    def _patiently(self, step: Callable[[], T], wait: Callable[[SocketStream], None], stream: SocketStream) -> T:
        while True:
            try:
                return step()
            except BlockingIOError:
                wait(stream)

    def _readable(self, stream: SocketStream) -> None:
        with _limit(self._patience):
            wait_read(stream.fileno())
            return
        if stream is self._outer and self._over:
            raise TimeoutError("the owner is done, and the peer does not hang up")

    def _writable(self, stream: SocketStream) -> None:
        with _limit(self._patience):
            wait_write(stream.fileno())
            return
        source = self._inner if stream is self._outer else self._outer
        alive = stream is self._outer and self._lenient and time.monotonic() - self._heard <= self._patience
        if not alive and _has_hung_up(source):
            raise TimeoutError("whoever sent this has hung up, and nobody takes it")


def _limit(seconds: float) -> gevent.Timeout:
    """Ends the block under it, and raises nothing."""
    return gevent.Timeout(seconds, False)  # type: ignore[arg-type]  # as gevent documents it


def _has_hung_up(stream: SocketStream) -> bool:
    poll = _poll()
    poll.register(stream.fileno(), _HUNG_UP)
    return bool(poll.poll(0))
