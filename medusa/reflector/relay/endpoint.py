"""One side's connection on the event loop: watchers move its bytes, a table holds its life (endpoint_states.py).

Each connection has a read and a write watcher. Their callbacks move what is there and never wait, so no greenlet is
switched to for data. A callback makes one read. A connection that fills its reads is not watched for a while, but takes
turns with others of its kind (fair_queue.py), so that all pairs make progress.
"""

from __future__ import annotations

import contextlib
import fcntl
import struct
import termios
import time
from collections.abc import Callable, Sequence

import structlog

from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close, Ping
from medusa.reflector.net.sockets import READ, WRITE, hung_up, switch
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

Report = Callable[["Endpoint", Progress], None]


class Endpoint:
    """One side's connection. It drops what it reads until `forward` joins it to the other side.

    `report` is called once with CLOSED or LOST when the peer has ended; with BROKE_RULES when the peer breaks the
    protocol, and then once more when it goes.

    Attributes:
        state: of the table.
        address: the peer's, for logs and lists.
        active: when the last terminal byte came, by time.monotonic(); at first, when the peer came.
        on_left_out: called with the texts that the other side has no place for; None if nobody wants them.
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
        self._sink: Endpoint | None = None  # gets what is read here
        self._source: Endpoint | None = None  # what it reads is written here
        self._queued = False  # in the fair queue, and so not watched for reading
        self._accepted = 0  # bytes that had reached the peer's host at the last call of `is_draining`
        self._readable = queue.loop.io(transport.fileno(), READ)
        self._writable = queue.loop.io(transport.fileno(), WRITE)

    # ------------------------------------------------------------------ what the session's driver does

    def start(self) -> None:
        """Begin to read. Bytes that came in with the handshake are dealt with now, before anything else happens."""
        self._watch(True)
        for _ in range(READS_AT_ONCE):
            if not self.transport.pending or self.paused:
                break
            self._on_readable()

    def forward(self, sink: Endpoint) -> None:
        """From now on what is read goes to `sink`; a message that has arrived in part is dropped."""
        self.transport.skip_message()
        self._sink, sink._source = sink, self
        self.pump.sink = sink.transport
        self._process(Input.LINKED_PLAIN if self.plain and sink.plain else Input.LINKED)

    def detach(self) -> None:
        """Drop what is read from now on."""
        sink, self._sink, self.pump.sink = self._sink, None, None
        self._process(Input.DETACHED)
        if sink is not None:
            sink._source = None
            sink._settle()
        self._settle()

    def announce(self, text: str) -> None:
        """Send a short text of the reflector's own."""
        self._attempt(lambda: self.transport.announce(text))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._attempt(lambda: self.transport.send_nowait(Ping(b"medusa")))

    def close(self, close: Close) -> None:
        """Send a Close after what is still to be written.

        If the last thing written ends inside a frame, the peer is given up instead: a Close would be read as the rest
        of that frame.
        """
        if self.transport.mid_frame:
            self.give_up("the other side was lost inside a message")
        else:
            self._attempt(lambda: self.transport.send_nowait(close))

    def give_up(self, why: str) -> None:
        """Close the connection now, and report the peer as lost. `why` is for the usage record."""
        self.pump.why = why
        self._process(Input.GIVEN_UP)

    def dismiss(self, close: Close) -> None:
        """Close the connection now, without a report; with `close` if neither side has sent a Close."""
        if self.open and not self.transport.mid_frame:
            with contextlib.suppress(BrokenTransport, ClosedTransport):
                self.transport.send_nowait(close)
        self._process(Input.DISMISSED)

    # ------------------------------------------------------------------ what the deadlines ask

    @property
    def open(self) -> bool:
        """Whether the peer has neither ended its stream nor broken the rules."""
        return self.state in states.OPEN

    @property
    def plain(self) -> bool:
        """Whether the peer knows no frames."""
        return self.transport.plain

    @property
    def passes_fin(self) -> bool:
        """Whether the end of what is read here would leave the other direction open."""
        return self.state is State.FORWARDING_PLAIN

    @property
    def paused(self) -> bool:
        """Whether nothing is read here, because the other side accepts no more."""
        return self._sink is not None and self._sink.transport.wants_write

    @property
    def hung_up(self) -> bool:
        """Whether the peer has ended its stream, even if bytes before that end are still unread."""
        return hung_up(self.transport.fileno())

    @property
    def sent(self) -> int:
        """Bytes that the kernel has accepted so far."""
        return self.transport.sent

    @property
    def backlog(self) -> int:
        """Bytes written, or still to be written, that have not reached the peer's host; at least 1 if any wait here."""
        try:
            (unsent,) = struct.unpack("i", fcntl.ioctl(self.transport.fileno(), termios.TIOCOUTQ, bytes(4)))
        except (OSError, ValueError):
            return 0
        return int(unsent) + self.transport.wants_write

    def is_draining(self) -> bool:
        """Whether a ping is stuck behind data that the peer is still accepting: then its silence does not count.

        Compares with the last call.
        """
        backlog = self.backlog
        before, self._accepted = self._accepted, self.transport.sent - backlog
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
        self._report(self, Progress.BROKE_RULES)

    def _release(self) -> None:
        # A descriptor may not be closed while it is watched.
        self._readable.close()
        self._writable.close()
        self.transport.abort()

    # ------------------------------------------------------------------ callbacks on the event loop

    def _on_readable(self) -> None:
        if self.state not in states.READING:
            return
        try:
            self._read()
        except Exception:  # a bug ends this connection, and no other
            log.exception("internal error")
            self.give_up("internal error")

    def _on_writable(self) -> None:
        source = self._source
        if source is not None and source.open and source.transport.last_read >= BULK:
            self._writable.stop()
            source._enqueue()  # its turn begins with what waits here
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
        if self.pump.left_out and self.on_left_out is not None:
            self.on_left_out(self.pump.left_out)
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
        """After a step that the other side accepted whole, which is the usual case: nothing is to be settled there."""
        transport = self.transport
        if transport.last_read >= BULK or transport.costly or transport.pending:
            self._enqueue()
        else:
            self._watch(True)
        if transport.wants_write:
            self._settle()
        if self._sink is not None and self.pump.sink is None:
            self._sink._settle()  # writing there has failed

    def _discard(self) -> None:
        self.keepalive.received(time.monotonic())
        if self.transport.discard():
            self._process(Input.PEER_LOST)
        elif self.transport.pending:
            self._enqueue()
        else:
            self._watch(True)

    def _enqueue(self) -> None:
        """Read next when the fair queue says so: after a large or costly read, and for bytes that no poll reports."""
        if not self._queued:
            self._queued = True
            self._readable.stop()
            self._queue.add(self._on_turn)

    def _watch(self, on: bool) -> None:
        """Read when the loop says that there is something, or do not."""
        if self._readable.active is on or self._queued or self.state is State.RELEASED:
            return
        self.keepalive.received(time.monotonic())  # nothing could be heard while nothing was read
        switch(self._readable, on, self._on_readable)
        if on and self.transport.pending:
            self._enqueue()

    # ------------------------------------------------------------------ writing

    def _attempt(self, send: Callable[[], object]) -> None:
        with contextlib.suppress(BrokenTransport, ClosedTransport):  # reading finds that out as well
            send()
        self._settle()

    def _settle(self) -> None:
        """Watch for what is waited for. Call after anything that may have changed it."""
        if self.state is State.RELEASED:
            return
        wants_write = self.transport.wants_write
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
        """End what is half-closed after all is written both ways, or after one side cannot be written to."""
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
