"""Moves the bytes of one side's connection: its watchers on the event loop, its turns, and what waits to be written.

Each connection has a read watcher and a write watcher. Their callbacks never wait, so data needs no greenlet switch. A
callback makes one read. A connection whose reads are large is busy: its read watcher is stopped, and it takes turns
with the other busy connections (fair_queue.py). So all pairs of connections make progress.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog

from medusa.protocol.keepalive import Keepalive
from medusa.reflector.net.sockets import READ, WRITE, switch
from medusa.reflector.relay.endpoint import states
from medusa.reflector.relay.endpoint.states import Input, State
from medusa.reflector.relay.endpoint.status import Status
from medusa.reflector.relay.fair_queue import BULK, FairQueue
from medusa.reflector.relay.pump import Progress, Pump
from medusa.transports.base import BrokenTransport, ClosedTransport
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="splicer")

_INPUTS = {
    Progress.CLOSED: Input.PEER_CLOSED,
    Progress.LOST: Input.PEER_LOST,
    Progress.BROKE_RULES: Input.PEER_BROKE_RULES,
}

MOST_DISCARDED = 16 * 1024 * 1024
"""The maximum number of bytes that are read and dropped from a peer that has broken the protocol.

Such a peer gets a Close. If it sends more bytes than this before it hangs up, it counts as lost.
"""

M = TypeVar("M")


class Watched(Status):
    """The base class of a connection that is watched on the event loop.

    A subclass has the methods `_process` and `give_up`. They are found as methods of the subclass, and a read that only
    moves bytes calls neither.

    Attributes:
        keepalive: decides when a silent peer gets a ping, or is lost.
        pump: copies what is read to the other side.
        active: the time.monotonic() at which the peer last sent terminal input or output. Before that: the time at
            which the peer was let in.
        on_left_out: called with the text messages that are not forwarded: the other side's protocol cannot carry them,
            or there is no other side and Pump.listens is True. None: they are dropped.
    """

    _sink: Watched | None

    def __init__(self, queue: FairQueue, transport: RelayedTransport, keepalive: Keepalive) -> None:
        super().__init__(transport)
        self.keepalive = keepalive
        self.pump = Pump(transport)
        self.active = time.monotonic()
        self.on_left_out: Callable[[Sequence[bytes]], None] | None = None
        self._queue = queue
        self._before_breach = 0  # the bytes that had come when the peer broke the protocol
        self._source: Watched | None = None  # what this connection reads is written here
        self._queued = False  # True: in the fair queue, so the read watcher is stopped
        self._readable = queue.loop.io(transport.fileno(), READ)
        self._writable: Any = None  # made when bytes have to wait for the first time, which is rare

    # ------------------------------------------------------------------ of the subclass

    def give_up(self, why: str) -> None:
        """Closes the connection now, and reports the peer as lost. `why`: the reason, for the log."""
        raise NotImplementedError

    def _process(self, happened: Input) -> None:
        """Passes an input (an event) to the table, and carries out the actions that the table returns."""
        raise NotImplementedError

    # ------------------------------------------------------------------ callbacks on the event loop

    def _on_readable(self) -> None:
        if self.state not in states.READING:
            return
        try:
            self._read()
        except Exception:  # a bug: only this connection ends
            log.exception("internal error")
            self.give_up("internal error")

    def _on_writable(self) -> None:
        source = self._source
        if source is not None and source.open and (source.transport.last_read >= BULK or source.transport.costly):
            self._writable.stop()
            source._enqueue()  # in its turn, the pump first writes what waits here
            return
        try:
            with contextlib.suppress(BrokenTransport):
                self.transport.flush()
            self._settle()
        except Exception:
            log.exception("internal error")
            self.give_up("internal error")

    def _on_turn(self) -> None:
        self._queued = False
        self._on_readable()

    # ------------------------------------------------------------------ reading

    def _read(self) -> None:
        if self.state is State.DISCARDING:
            self._discard()
            return
        terminal = self.pump.terminal
        progress = self.pump.step()
        if progress is not Progress.IDLE:
            now = time.monotonic()
            self.keepalive.received(now)
            if self.pump.terminal != terminal:
                self.active = now
        if self.pump.left_out:
            left_out, self.pump.left_out = self.pump.left_out, ()
            if self.on_left_out is not None:
                self.on_left_out(left_out)
        if progress is Progress.MOVED:
            self._go_on()
            return
        if progress in _INPUTS:
            self._peer_ended(progress)
        self._settle()
        if self._sink is not None:
            self._sink._settle()
        elif self.state in states.READING:
            self._watch(True)

    def _peer_ended(self, progress: Progress) -> None:
        happened = _INPUTS[progress]
        if happened is Input.PEER_CLOSED and self._sink is not None and self._sink.state is State.HALF_CLOSED:
            happened = Input.PEER_CLOSED_LAST
        self._process(happened)

    def _go_on(self) -> None:
        """Plans the next read, after the other side has accepted all bytes of the last one."""
        transport = self.transport
        if transport.last_read >= BULK or transport.costly or transport.pending:
            self._enqueue()
        elif not self._readable.active:
            self._watch(True)
        if transport.wants_write:
            self._settle()
        if self._sink is not None and self.pump.sink is None:
            self._sink._settle()  # writing to the other side has failed

    def _discard(self) -> None:
        self.keepalive.received(time.monotonic())
        before = self.transport.received
        if self.transport.discard() or before > self._before_breach + MOST_DISCARDED:
            self._process(Input.PEER_LOST)
        elif self.transport.pending or self.transport.received >= before + BULK:
            self._enqueue()
        else:
            self._watch(True)

    def _enqueue(self) -> None:
        """Lets the fair queue decide when to read next, and stops the read watcher.

        Call this after a large or costly read. Call it also if TLS or the transport already holds unread bytes: no
        watcher sees them.
        """
        if not self._queued:
            self._queued = True
            self._readable.stop()
            self._queue.add(self._on_turn)

    def _watch(self, on: bool) -> None:
        """Starts or stops the read watcher."""
        if self._readable.active is on or self._queued or self.state is State.RELEASED:
            return
        self.keepalive.received(time.monotonic())  # silence does not count while nothing is read
        switch(self._readable, on, self._on_readable)
        if on and self.transport.pending:
            self._enqueue()

    # ------------------------------------------------------------------ writing

    def _attempt(self, send: Callable[[M], object], message: M) -> None:
        try:
            send(message)
        except (BrokenTransport, ClosedTransport):
            pass  # reading will notice the end as well
        self._settle()

    def _settle(self) -> None:
        """Starts or stops the watchers, depending on whether bytes wait to be written. Ends a finished connection.

        Call this after each change of the state, and of the bytes that wait to be written.
        """
        if self.state is State.RELEASED:
            return
        wants_write = self.transport.wants_write
        if wants_write and self._writable is None:
            self._writable = self._queue.loop.io(self.transport.fileno(), WRITE)
        if self._writable is not None:
            switch(self._writable, wants_write, self._on_writable)
        if self.state in states.HALF_CLOSED:
            self._settle_half_closed()
        if self.state in states.REPORTED and not wants_write:
            self.transport.finish()
        elif self.open and self.transport.write_failed and self.paused:
            self.give_up("the connection broke while the other side did not read")
        source = self._source
        if source is not None and source.open:
            source._watch(not wants_write)

    def _settle_half_closed(self) -> None:
        """Ends the connections of both sides, if both peers have sent a FIN and all bytes are written.

        If writing to this side has failed, ends only the connection of this side.
        """
        other = self._sink
        if self.transport.write_failed:
            self._process(Input.WRITE_FAILED)
        elif other is not None and other.state in states.HALF_CLOSED and not self._either_wants_write(other):
            for side in (self, other) if self.state is State.HALF_CLOSED else (other, self):
                side._process(Input.BOTH_WRITTEN)

    def _either_wants_write(self, other: Watched) -> bool:
        return self.transport.wants_write or other.transport.wants_write
