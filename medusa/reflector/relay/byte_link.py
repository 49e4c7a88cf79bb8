"""Copies bytes between two streams in both directions, on the event loop and without a greenlet."""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog

from medusa.protocol.record import record
from medusa.reflector.net.sockets import READ, WRITE, silence, switch
from medusa.reflector.relay.byte_pipe import TIGHT_READ_SIZE, BytePipe
from medusa.reflector.relay.fair_queue import BULK, FairQueue

log = structlog.get_logger(component="byte_link")


CHECKS = 9
"""The number of checks in the time `Patience.stall`.

So a lost connection is noticed at most one ninth of this time too late.
"""


@record
class Patience:
    """Sets how many seconds a byte proxy may go on after one of its two ends has closed.

    One end is the peer. The other end is the owner: the process in which the peer's session lives. Bytes from the peer
    extend neither `close` nor `unread`.

    Attributes:
        stall: the longest time without a sign of life from the end that has not closed.
        close: the longest time to wait until the peer hangs up. It starts when the owner has closed, and the system has
            accepted all the owner's bytes for the peer.
        unread: the longest time for which the peer may accept no bytes, if the owner has closed and bytes for the peer
            are left.
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
        patience: the times after which the link ends although only one of its ends has closed.
        is_lost: a function that tells whether an end seems to be lost. It is called with the two pipes, CHECKS times in
            `patience.stall` seconds. If CHECKS calls in a row return True, the link ends. The attributes `has_read` and
            `has_written` of the pipes tell it what has happened since the last call.
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
        """Runs `step`, a function that reads or writes in one pipe. Then sets the watchers for what both pipes need.

        If both pipes have ended, or if `step` raises an exception, ends the link.
        """
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
        """Starts the timer that ends the link if the peer does not hang up. Call this after the owner has closed.

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
        """Returns True if the host that `pipe` writes to has acknowledged nothing for `patience.stall` seconds.

        Returns False if it has acknowledged all that was sent to it.
        """
        return silence(pipe.sink.fileno()) >= self._patience.stall


class _Driver:
    """Runs one pipe of a byte link whenever a watcher reports that the pipe can read or write, or its turn has come.

    The fair queue of the event loop gives the turns.
    """

    def __init__(self, link: ByteLink, pipe: BytePipe) -> None:
        self.pipe = pipe
        self._link = link
        self._queued = False
        self._readable = link.queue.loop.io(pipe.source.fileno(), READ)
        self._writable = link.queue.loop.io(pipe.sink.fileno(), WRITE)

    def settle(self) -> None:
        """Starts the watchers that the pipe needs now (for reading, for writing), and stops those it does not need.

        If TLS has decrypted bytes that are not read yet, no watcher can see them. In this case the pipe waits for a
        turn in the fair queue.
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
