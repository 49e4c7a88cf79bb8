"""A connection that is carried to another reflector: bytes as they come, both ways, by watchers on the event loop.

No frame is looked at here, no ping answered: the links' ends judge each other. What one end does not take stays with
the other; the end of one stream becomes the end of the other, behind all that came before it.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from medusa.reflector.relay.endpoint import READ, WRITE, hung_up, switch
from medusa.reflector.relay.fair_queue import BULK, FairQueue
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsStream

log = structlog.get_logger(component="tunnel")

READ_SIZE = 64 * 1024


class Tunnel:
    """Owns both streams, and ends by itself.

    Args:
        outer: the peer's.
        inner: to the reflector that the session lives in; `answer` was read of it.
        patience: seconds after which a tunnel that does not move is looked at: ended where one end is gone. None where
            one end may go on without the other: then the kernel alone finds out who is gone.
        ended: called once.
    """

    def __init__(
        self,
        turns: FairQueue,
        streams: tuple[SocketStream, SocketStream],
        answer: bytes,
        patience: float | None,
        ended: Callable[[Tunnel], None],
    ) -> None:
        outer, inner = streams
        self.turns = turns
        self.moved = True
        self.over = False
        self._streams = streams
        self._ended = ended
        self._out, self._in = _Way(self, inner, outer), _Way(self, outer, inner)
        self._out.back, self._in.back = self._in, self._out
        self._timer = None if patience is None else turns.loop.timer(patience, repeat=patience)
        if self._timer is not None:
            self._timer.start(self._look)
        self._out.start(answer)
        self._in.start(b"")

    def check(self) -> None:
        """After a way has ended."""
        if self._out.done and self._in.done:
            self.end()

    def end(self) -> None:
        """Let go of both, at once. Idempotent."""
        if self.over:
            return
        self.over = True
        if self._timer is not None:
            self._timer.close()
        for way in (self._out, self._in):
            way.stop()
        for stream in self._streams:
            stream.shutdown()
            stream.close()
        self._ended(self)

    def _look(self) -> None:
        moved, self.moved = self.moved, False
        if not moved and any(way.forlorn for way in (self._out, self._in)):
            self.end()


class _Way:
    """One direction.

    Attributes:
        back: the other one.
        done: nothing more comes, or nothing more is taken.
    """

    back: _Way

    def __init__(self, tunnel: Tunnel, source: SocketStream, sink: SocketStream) -> None:
        self.done = False
        self._tunnel = tunnel
        self._source = source
        self._sink = sink
        self._held = b""  # what the sink did not take
        self._queued = False
        self._readable = tunnel.turns.loop.io(source.fileno(), READ)
        self._writable = tunnel.turns.loop.io(sink.fileno(), WRITE)

    @property
    def forlorn(self) -> bool:
        """Whether it has ended, or would have but for a sink that takes nothing."""
        return self.done or (bool(self._held) and hung_up(self._source.fileno()))

    def start(self, data: bytes) -> None:
        """With `data` that came already."""
        self._guarded(lambda: self._write(memoryview(data)))
        if self._source.pending:
            self._queue_up()

    def stop(self) -> None:
        """For good: a descriptor may not be closed while it is watched."""
        self._readable.close()
        self._writable.close()

    def _on_readable(self) -> None:
        self._guarded(self._read)

    def _on_writable(self) -> None:
        self._guarded(lambda: self._write(memoryview(self._held)))

    def _take_turn(self) -> None:
        self._queued = False
        self._guarded(self._read)

    def _guarded(self, step: Callable[[], None]) -> None:
        if self._tunnel.over:
            return
        try:
            step()
            self._settle()
        except Exception:  # a bug: this tunnel ends, and no other
            log.exception("internal error")
            self._tunnel.end()

    def _read(self) -> None:
        if self.done or self._held:
            return
        scratch = self._tunnel.turns.scratch
        try:
            size = self._source.recv_into(scratch[:READ_SIZE])
        except BlockingIOError:
            return
        except OSError:  # reset: an end behind which the source takes nothing either
            self.back.done = True
            size = 0
        self._tunnel.moved = True
        if not size:
            self.done = True
            self._sink.shutdown()
            self._tunnel.check()
            return
        # Behind its own end TLS cannot decrypt: what still comes is good for nothing.
        if not (self.back.done and isinstance(self._source, TlsStream)):
            self._write(scratch[:size])
        if size >= BULK or self._source.pending:
            self._queue_up()

    def _write(self, data: memoryview) -> None:
        try:
            while data:
                data = data[self._sink.send(data) :]
                self._tunnel.moved = True
        except BlockingIOError:
            pass
        except OSError:  # the sink's own last words may still be on their way back
            self.done, data = True, data[:0]
            self._tunnel.check()
        self._held = bytes(data)

    def _queue_up(self) -> None:
        if not self._queued and not self._tunnel.over:
            self._queued = True
            self._tunnel.turns.add(self._take_turn)

    def _settle(self) -> None:
        if self._tunnel.over:
            return
        switch(self._writable, bool(self._held), self._on_writable)
        listening = not (self._held or self.done or self._queued)
        if listening and self._source.pending:
            self._queue_up()
            listening = False
        switch(self._readable, listening, self._on_readable)
