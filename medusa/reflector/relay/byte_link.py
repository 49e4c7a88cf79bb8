"""A byte proxy on the event loop: two byte pipes, driven by the loop's watchers, without a greenlet."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from medusa.reflector.net.sockets import READ, WRITE, switch
from medusa.reflector.relay.byte_pipe import BytePipe
from medusa.reflector.relay.fair_queue import BULK, FairQueue

log = structlog.get_logger(component="byte_link")


class ByteLink:
    """A running byte proxy between two streams. It ends by itself when both directions have ended.

    Args:
        queue: the event loop's fair queue, which gives turns to busy directions.
        pipes: the pipe to the peer and the pipe from it, as `join` returns them. The link now owns their streams, and
            closes them at its end.
        interval: seconds between two calls of `is_lost`. With None it is never called.
        is_lost: called with both pipes, as in `pipes`; their `has_read` and `has_written` cover the last interval. If
            it returns True, the link ends.
        ended: called once with this link when it has ended, perhaps before the constructor returns.
        first: bytes for the peer that the caller has already read.
    """

    def __init__(
        self,
        queue: FairQueue,
        pipes: tuple[BytePipe, BytePipe],
        interval: float | None,
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
        self._timer = None if interval is None else queue.loop.timer(interval, repeat=interval)
        if self._timer is not None:
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
        if self._timer is not None:
            self._timer.close()
        for driver in self._drivers:
            driver.stop()
        for pipe in self._pipes:
            pipe.drop()
            pipe.sink.shutdown()
            pipe.sink.close()
        self._ended(self)

    def _check(self) -> None:
        if self._is_lost(*self._pipes):
            self.end()
        for pipe in self._pipes:
            pipe.forget_moves()


class _Driver:
    """The watchers of one pipe, and its place in the fair queue. They run the pipe whenever it can read or write."""

    def __init__(self, link: ByteLink, pipe: BytePipe) -> None:
        self.pipe = pipe
        self._link = link
        self._queued = False
        self._readable = link.queue.loop.io(pipe.source.fileno(), READ)
        self._writable = link.queue.loop.io(pipe.sink.fileno(), WRITE)

    def settle(self) -> None:
        """Starts the watchers for what the pipe needs, and stops the others.

        Bytes that TLS has already decrypted make no socket readable, so for these the pipe joins the fair queue.
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
        if self.pipe.read(self._link.queue.scratch) >= BULK:
            self._enqueue()

    def _enqueue(self) -> None:
        if not self._queued:
            self._queued = True
            self._link.queue.add(self._on_dequeued)
