"""Runs the connection of one side (client or agent) on the event loop. Its states are in endpoint_states.py.

Each connection has a read watcher and a write watcher, which move its bytes. Their callbacks never wait, so data needs
no greenlet switch. A callback makes one read. A connection whose reads are large is busy: its read watcher is stopped,
and it takes turns with the other busy connections (fair_queue.py). So all pairs of connections make progress.
"""

from __future__ import annotations

import contextlib
import fcntl
import struct
import termios
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog

from medusa.protocol.errors import PolicyViolation
from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close, Ping
from medusa.protocol.relay import Unfinished
from medusa.reflector.net.sockets import READ, WRITE, acknowledged, hung_up, silence, switch
from medusa.reflector.relay import endpoint_states as states
from medusa.reflector.relay.endpoint_states import Action, Input, State
from medusa.reflector.relay.fair_queue import BULK, FairQueue
from medusa.reflector.relay.pump import Progress, Pump
from medusa.session import Side
from medusa.transports.base import READS_AT_ONCE, BrokenTransport, ClosedTransport
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
Report = Callable[["Endpoint", Progress], None]


class Endpoint:
    """The connection of one side (client or agent). It drops what it reads until `forward` joins it to the other side.

    `report` is called once, with CLOSED or LOST, when the peer has ended the connection. If the peer breaks the
    protocol, `report` is called with BROKE_RULES, and again with LOST when the peer hangs up.

    Attributes:
        state: the current state of endpoint_states.TABLE.
        address: the peer's address, for logs and lists.
        active: the time.monotonic() at which the peer last sent terminal input or output. Before that: the time at
            which the peer was let in.
        on_left_out: called with the text messages that are not forwarded: the other side's protocol cannot carry them,
            or there is no other side and Pump.listens is True. None: they are dropped.
    """

    def __init__(
        self,
        queue: FairQueue,
        side: Side,
        transport: RelayedTransport,
        keepalive: Keepalive,
        report: Report,
        address: str = "",
    ) -> None:
        self.side = side
        self.transport = transport
        self.keepalive = keepalive
        self.address = address
        self.state = State.DROPPING
        self.pump = Pump(transport)
        self.active = time.monotonic()
        self.on_left_out: Callable[[Sequence[bytes]], None] | None = None
        self._queue = queue
        self._report = report
        self._before_breach = 0  # the bytes that had come when the peer broke the protocol
        self._sink: Endpoint | None = None  # what is read here is written to this endpoint
        self._source: Endpoint | None = None  # what this endpoint reads is written here
        self._queued = False  # True: in the fair queue, so the read watcher is stopped
        self._accepted = 0  # bytes that had reached the peer's host at the last call of `is_draining`
        self._readable = queue.loop.io(transport.fileno(), READ)
        self._writable: Any = None  # made when bytes have to wait for the first time, which is rare

    # ------------------------------------------------------------------ called by the session's driver

    def start(self) -> None:
        """Starts to read. Before it returns, it processes the bytes that arrived with the handshake."""
        self._watch(True)
        for _ in range(READS_AT_ONCE):
            if not self.transport.pending or self.paused:
                break
            self._on_readable()

    def forward(self, sink: Endpoint) -> None:
        """Forwards to `sink` what is read from now on.

        If the first part of a message was read before this call, the whole message is dropped.
        """
        self.transport.skip_message()
        self._sink, sink._source = sink, self
        self.pump.sink = sink.transport
        self._process(Input.LINKED_PLAIN if self.plain and sink.plain else Input.LINKED)

    def detach(self) -> None:
        """Stops forwarding: what is read from now on is dropped."""
        sink, self._sink, self.pump.sink = self._sink, None, None
        self.transport.skip_message()
        self._process(Input.DETACHED)
        if sink is not None:
            sink._source = None
            sink._settle()
        self._settle()

    def announce(self, text: str) -> None:
        """Sends the peer a short text message from the reflector."""
        self._attempt(self.transport.announce, text)

    def ping(self) -> None:
        """Sends the peer a ping, which it has to answer."""
        self._attempt(self.transport.send_nowait, Ping(b"medusa"))

    def close(self, close: Close) -> None:
        """Sends the peer the Close `close`, after the bytes that already wait to be written.

        If the last bytes written end inside a frame, calls `give_up` instead, because the peer would read the Close as
        the rest of this frame.
        """
        if self.transport.mid_frame:
            self.give_up("the other side was lost inside a message")
        else:
            self._attempt(self.transport.send_nowait, close)

    def give_up(self, why: str) -> None:
        """Closes the connection now, and reports the peer as lost. `why`: the reason, for the log."""
        self.pump.why = why
        self._process(Input.GIVEN_UP)

    def refuse_message(self, why: str) -> None:
        """Sends the peer a Close because it does not finish its message, and reports that it broke the protocol.

        `why`: the reason, as a text for the peer and for the log.
        """
        self.pump.why = why
        self.transport.refuse(PolicyViolation(why))
        self._process(Input.PEER_BROKE_RULES)
        self._settle()

    def dismiss(self, close: Close) -> None:
        """Closes the connection now, and reports nothing. If the connection is still open, sends `close` first."""
        if self.open and not self.transport.mid_frame:
            with contextlib.suppress(BrokenTransport, ClosedTransport):
                self.transport.send_nowait(close)
        self._process(Input.DISMISSED)
        # Without these references, the memory of the pair is free at once, not after the next garbage collection.
        self._report, self.on_left_out = _ignore, None
        self._sink = self._source = self.pump.sink = None

    # ------------------------------------------------------------------ read by the session's deadlines

    @property
    def open(self) -> bool:
        """True until the peer ends its stream or breaks the protocol, or this process closes the connection."""
        return self.state in states.OPEN

    @property
    def released(self) -> bool:
        """True after this process has closed the connection."""
        return self.state is State.RELEASED

    @property
    def plain(self) -> bool:
        """True if the peer uses raw TCP without frames."""
        return self.transport.plain

    @property
    def passes_fin(self) -> bool:
        """True if the peer can end its direction with a FIN while the other direction goes on.

        This is possible if both peers use raw TCP without frames, and are linked.
        """
        return self.state is State.FORWARDING_PLAIN

    @property
    def paused(self) -> bool:
        """True if nothing is read from the peer, because bytes still wait to be written to the other side."""
        return self._sink is not None and self._sink.transport.wants_write

    @property
    def unfinished(self) -> Unfinished | None:
        """The message of which only a part has arrived from the peer. None if there is none."""
        return self.transport.unfinished

    @property
    def hung_up(self) -> bool:
        """True if the peer has ended its stream, even if bytes before that end are still unread."""
        return hung_up(self.transport.fileno())

    @property
    def sent(self) -> int:
        """The number of bytes for the peer that the kernel has accepted so far."""
        return self.transport.sent

    @property
    def backlog(self) -> int:
        """The number of bytes that the kernel still holds for the peer, because its host has not acknowledged them.

        1 more if bytes wait to be given to the kernel. 0 if the system cannot tell the number.
        """
        try:
            (unsent,) = struct.unpack("i", fcntl.ioctl(self.transport.fileno(), termios.TIOCOUTQ, bytes(4)))
        except (OSError, ValueError):
            return 0
        return int(unsent) + self.transport.wants_write

    @property
    def unacknowledged(self) -> float:
        """The seconds for which the peer's host has not acknowledged the bytes sent to it; 0.0 if it has."""
        return silence(self.transport.fileno())

    def is_draining(self) -> bool:
        """Returns True if a ping may be stuck behind data that the peer is still accepting.

        In this case a silent peer does not count as lost. The result is True in two cases:

        - Some sent bytes have not reached the peer's host yet, and other bytes have reached it since the last call.
        - All sent bytes have reached the host, and they end inside a frame. No ping can be sent before the rest of this
          frame is sent.
        """
        backlog = self.backlog
        # With TLS, `sent` does not tell how many bytes of ciphertext the kernel has.
        found = acknowledged(self.transport.fileno())
        before, self._accepted = self._accepted, found.size if found is not None else self.transport.sent - backlog
        return self._accepted > before if backlog else self.transport.mid_frame

    # ------------------------------------------------------------------ the table

    def _process(self, happened: Input) -> None:
        step = states.step(self.state, happened)
        self.state = step.next
        for action in step.actions:
            _CARRY_OUT[action](self)

    def _start_reading(self) -> None:
        self._watch(True)

    def _stop_reading(self) -> None:
        self._readable.stop()

    def _forward_fin(self) -> None:
        assert self._sink is not None
        assert self.pump.close is not None
        self._sink.close(self.pump.close)

    def _report_closed(self) -> None:
        self._report(self, Progress.CLOSED)

    def _report_lost(self) -> None:
        self._report(self, Progress.LOST)

    def _report_breach(self) -> None:
        self._before_breach = self.transport.received
        self._report(self, Progress.BROKE_RULES)

    def _release(self) -> None:
        # Before the descriptor is closed, because libev must not watch a closed one.
        self._readable.close()
        if self._writable is not None:
            self._writable.close()
        self.transport.abort()

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
        else:
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

    def _either_wants_write(self, other: Endpoint) -> bool:
        return self.transport.wants_write or other.transport.wants_write


_CARRY_OUT = {
    Action.WATCH: Endpoint._start_reading,
    Action.UNWATCH: Endpoint._stop_reading,
    Action.FORWARD_FIN: Endpoint._forward_fin,
    Action.REPORT_CLOSED: Endpoint._report_closed,
    Action.REPORT_LOST: Endpoint._report_lost,
    Action.REPORT_BREACH: Endpoint._report_breach,
    Action.RELEASE: Endpoint._release,
}


def _ignore(endpoint: Endpoint, progress: Progress) -> None:
    """Does nothing. Takes the place of the function `report` after a connection was dismissed."""
