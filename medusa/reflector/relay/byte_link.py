"""A byte proxy on the event loop: two byte pipes, driven by watchers. No greenlet runs for it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from medusa.reflector.net.sockets import READ, WRITE, switch
from medusa.reflector.relay.byte_pipe import BytePipe
from medusa.reflector.relay.fair_queue import BULK, FairQueue

log = structlog.get_logger(component="byte_link")


class ByteLink:
    """Owns both streams, copies bytes both ways, and ends by itself when both directions have ended.

    Args:
        queue: the loop's fair queue, for directions that are busy.
        pipes: to the peer and from it, as `join` gives them; their streams are the link's from here on.
        interval: seconds between two calls of `is_lost`; None: it is never called.
        is_lost: gets the pipes to and from the peer, whose `has_read` and `has_written` cover the last interval. True
            ends the link.
        ended: called once, after the link has ended; perhaps before the constructor returns.
        first: bytes for the peer that were read already.
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
        """Run one step of a pipe, then wait for what both pipes need next."""
        if self.over:
            return
        try:
            step()
            if all(pipe.ended for pipe in self._pipes):
                self.end()
            else:
                for driver in self._drivers:
                    driver.settle()
        except Exception:  # a bug: this link ends, and no other
            log.exception("internal error")
            self.end()

    def end(self) -> None:
        """Close both streams at once. Idempotent."""
        if self.over:
            return
        self.over = True
        if self._timer is not None:
            self._timer.close()
        for driver in self._drivers:
            driver.stop()
        for pipe in self._pipes:
            pipe.sink.shutdown()
            pipe.sink.close()
        self._ended(self)

    def _check(self) -> None:
        if self._is_lost(*self._pipes):
            self.end()
        for pipe in self._pipes:
            pipe.forget_moves()


class _Driver:
    """Calls one pipe when its source is readable, its sink is writable, or its place in the queue has come."""

    def __init__(self, link: ByteLink, pipe: BytePipe) -> None:
        self.pipe = pipe
        self._link = link
        self._queued = False
        self._readable = link.queue.loop.io(pipe.source.fileno(), READ)
        self._writable = link.queue.loop.io(pipe.sink.fileno(), WRITE)

    def settle(self) -> None:
        """Watch for what the pipe waits for. Bytes that TLS has decrypted already make no socket readable."""
        if self.pipe.wants_read and self.pipe.source.pending:
            self._enqueue()
        switch(self._writable, self.pipe.wants_write, self._on_writable)
        switch(self._readable, self.pipe.wants_read and not self._queued, self._on_readable)

    def stop(self) -> None:
        """For good: a descriptor must not be closed while it is watched."""
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
