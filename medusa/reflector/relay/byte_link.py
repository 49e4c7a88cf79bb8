"""A byte proxy on the event loop: two byte pipes, driven by the loop's watchers, without a greenlet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from medusa.reflector.net.sockets import READ, WRITE, silence, switch
from medusa.reflector.relay.byte_pipe import TIGHT_READ_SIZE, BytePipe
from medusa.reflector.relay.fair_queue import BULK, FairQueue

log = structlog.get_logger(component="byte_link")


CHECKS = 9
"""The number of checks in the time `Patience.stall`.

So a lost connection is noticed at most one ninth of this time too late.
"""


@dataclass(frozen=True)
class Patience:
    """How long a link stays open after one of its ends has closed, in seconds.

    The ends are a peer and the owner: the process in which the peer's session lives. Bytes from the peer extend neither
    `close` nor `unread`.

    Attributes:
        stall: the link ends if the other end gives no sign of life for this time.
        close: the owner has closed, and the system has accepted all its bytes for the peer: the link ends if the peer
            does not hang up within this time.
        unread: the owner has closed, but the peer has not accepted all the owner's bytes: the link ends if the peer
            does not accept them within this time.
    """

    stall: float
    close: float
    unread: float


class ByteLink:
    """A running byte proxy between two streams. It ends by itself when both directions have ended.

    Args:
        queue: the event loop's fair queue, which gives turns to busy directions.
        pipes: the pipe to the peer and the pipe from the peer, as `join` returns them. The link now owns their streams,
            and closes them at its end.
        patience: how long the link stays open after one of its ends has closed.
        is_lost: a function that is called CHECKS times in `patience.stall` seconds, with the two pipes in the order of
            `pipes`. The `has_read` and `has_written` of the pipes then tell what has happened since the last call. If
            CHECKS calls in a row return True, the link ends.
        ended: called once with this link when it has ended, perhaps before the constructor returns.
        first: bytes for the peer that the caller has already read.
    """

    def __init__(
        self,
        queue: FairQueue,
        pipes: tuple[BytePipe, BytePipe],
        patience: Patience,
        is_lost: Callable[[BytePipe, BytePipe], bool],
        ended: Callable[[ByteLink], None],
        first: bytes = b"",
    ) -> None:
        self.queue = queue
        self.over = False
        self._is_lost = is_lost
        self._ended = ended
        self._pipes = outward, inward = pipes
        self._drivers = (_Driver(self, outward), _Driver(self, inward))
        self._patience = patience
        self._interval = patience.stall / CHECKS
        self._lost = self._unread = 0  # how many checks in a row found an end lost; bytes of the owner unread
        self._closing = False
        self._timer = queue.loop.timer(self._interval, repeat=self._interval)
        self._timer.start(self._check)
        self.run(lambda: outward.push(memoryview(first)))

    def run(self, step: Callable[[], None]) -> None:
        """Runs one step of a pipe, then sets the watchers for what both pipes need next."""
        if self.over:
            return
        try:
            step()
            outward, inward = self._pipes
            if outward.ended and inward.ended:
                self.end()
            else:
                if outward.finished and not self._closing:
                    self._start_closing()
                for driver in self._drivers:
                    driver.settle()
        except Exception:  # a bug: only this link ends
            log.exception("internal error")
            self.end()

    def end(self) -> None:
        """Closes both streams immediately, and calls `ended`. Idempotent."""
        if self.over:
            return
        self.over = True
        self._timer.close()
        for driver in self._drivers:
            driver.stop()
        for pipe in self._pipes:
            pipe.drop()
            pipe.sink.shutdown()
            pipe.sink.close()
        self._ended(self)

    def _start_closing(self) -> None:
        """Starts the timer that ends the link if the peer does not hang up. Called after the owner has closed.

        Bytes from the peer do not extend this time.
        """
        self._closing = True
        if self._patience.close < math.inf:
            self._timer.close()
            self._timer = self.queue.loop.timer(self._patience.close)
            self._timer.start(self.end)

    def _check(self) -> None:
        outward, inward = self._pipes
        self._lost = self._lost + 1 if self._is_lost(outward, inward) else 0
        self._unread = self._unread + 1 if outward.is_stuck else 0
        unread = self._unread * self._interval
        if self._lost >= CHECKS or unread >= self._patience.unread or (unread and self._is_unreachable(outward)):
            self.end()
        for pipe in self._pipes:
            pipe.forget_moves()

    def _is_unreachable(self, pipe: BytePipe) -> bool:
        """Returns True if the host that the pipe writes to has acknowledged nothing for `patience.stall` seconds."""
        return silence(pipe.sink.fileno()) >= self._patience.stall


class _Driver:
    """The driver of one pipe. Runs the pipe if a watcher reports that it can read or write, or if its turn comes.

    The turns come from the fair queue.
    """

    def __init__(self, link: ByteLink, pipe: BytePipe) -> None:
        self.pipe = pipe
        self._link = link
        self._queued = False
        self._readable = link.queue.loop.io(pipe.source.fileno(), READ)
        self._writable = link.queue.loop.io(pipe.sink.fileno(), WRITE)

    def settle(self) -> None:
        """Starts the watchers that the pipe needs now (for reading, for writing), and stops those it does not need.

        If TLS has decrypted bytes that are not read yet, no watcher can see them. In this case the pipe takes a turn in
        the fair queue.
        """
        wants_read = self.pipe.wants_read
        if wants_read and self.pipe.source.pending:
            self._enqueue()
        switch(self._writable, self.pipe.wants_write, self._on_writable)
        switch(self._readable, wants_read and not self._queued, self._on_readable)

    def stop(self) -> None:
        """Ends both watchers for ever. Call it before the descriptors are closed: libev must not watch a closed one."""
        self._readable.close()
        self._writable.close()

    def _on_readable(self) -> None:
        self._link.run(self._read)

    def _on_writable(self) -> None:
        self._link.run(self.pipe.write)

    def _on_dequeued(self) -> None:
        self._queued = False
        self._link.run(self._read)

    def _read(self) -> None:
        size = self.pipe.read(self._link.queue.scratch)
        if size >= BULK or (size == TIGHT_READ_SIZE and self.pipe.share.tight):
            self._enqueue()

    def _enqueue(self) -> None:
        if not self._queued:
            self._queued = True
            self._link.queue.add(self._on_dequeued)
