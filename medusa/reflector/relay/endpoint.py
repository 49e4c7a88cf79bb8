"""The way of the bytes. Each link has a read and a write watcher on the event loop; their callbacks move what is there
and never wait, so no greenlet is switched to for data. One read's worth a callback; a link that fills its reads is not
watched but takes turns with its like (turns.py): the loop keeps all pairs moving."""

from __future__ import annotations

import contextlib
import fcntl
import struct
import termios
import time
from collections.abc import Callable
from typing import Any

import structlog

from medusa.protocol.control import Error, Exit, parse
from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close, Ping
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.relay.fair_queue import BULK, FairQueue
from medusa.reflector.relay.pump import Progress, Pump
from medusa.session import Side
from medusa.transports.base import READS_AT_ONCE, BrokenTransport, ClosedTransport
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="splicer")

READ, WRITE = 1, 2
"""libev's event masks."""

_DONE = Close(1000, "done")

_ENDS = (Progress.CLOSED, Progress.LOST, Progress.BROKE_RULES)
_READ_ON = (None, Progress.BROKE_RULES)

Report = Callable[["Endpoint", Progress], None]


class Endpoint:
    """One side's link on the loop.

    It starts out dropping what it reads (a client that waits, a side whose session is over); `forward` joins it to the
    other. `report` is told once of the peer's Close, loss or breach; after a breach, of its going as well. Between two
    plain peers a FIN is passed on, and nothing is told of it until the other direction has ended too.
    """

    def __init__(
        self, turns: FairQueue, side: Side, transport: RelayedTransport, keepalive: Keepalive, report: Report
    ) -> None:
        self.side = side
        self.transport = transport
        self.keepalive = keepalive
        self.address = ""
        self.pump = Pump(transport)
        self.gone: Progress | None = None
        self.active = time.monotonic()  # the last terminal byte; at first, its coming
        self._turns = turns
        self._report = report
        self._feeds: Endpoint | None = None  # who gets what this leg reads
        self._fed_by: Endpoint | None = None
        self._discarding = False
        self._told = False  # that it is gone, which waits where a FIN is passed on
        self._first = False  # to end, of two that end one after the other
        self._queued = False  # for a turn
        self._stopped = False
        self._taken = 0  # bytes, when `takes_on` was asked last
        self._readable = turns.loop.io(transport.fileno(), READ)
        self._writable = turns.loop.io(transport.fileno(), WRITE)

    def start(self) -> None:
        """Begin to read. What came in behind the handshake is dealt with now, before anything else happens."""
        self._listen(True)
        for _ in range(READS_AT_ONCE):
            if not self.transport.pending or self.paused:
                break
            self._on_readable()

    def forward(self, sink: Endpoint) -> None:
        """From now on what is read goes to `sink`; a message that has begun to arrive before is dropped."""
        self.transport.skip_message()
        self._feeds, sink._fed_by = sink, self
        self.pump.sink = sink.transport

    def detach(self) -> None:
        """Drop what is read from now on."""
        sink, self._feeds, self.pump.sink = self._feeds, None, None
        if sink is not None:
            sink._fed_by = None
            sink._settle()
            if self.gone is None:
                self._listen(True)
        if self.gone is not None and not self._told:
            self._tell()
        self._settle()

    @property
    def paused(self) -> bool:
        """Whether this leg is not read because the other cannot take more."""
        return self._feeds is not None and self._feeds.transport.wants_write

    @property
    def passes_fin(self) -> bool:
        """Whether the end of what this leg reads is no end of what it writes."""
        return self.transport.plain and self._feeds is not None and self._feeds.transport.plain

    @property
    def hung_up(self) -> bool:
        """Whether the peer has ended its stream, be it behind bytes that are not read."""
        return hung_up(self.transport.fileno())

    def takes_on(self) -> bool:
        """Whether the peer cannot be asked, since no ping gets past what is being sent, but has taken all that there
        was for it, or some of it since the last call."""
        backlog = self.backlog
        before, self._taken = self._taken, self.transport.sent - backlog
        return self._taken > before if backlog else self.transport.mid_frame

    @property
    def backlog(self) -> int:
        """Bytes sent, or to be sent, that have not reached the peer's host yet; one at least while any wait here."""
        try:
            (unsent,) = struct.unpack("i", fcntl.ioctl(self.transport.fileno(), termios.TIOCOUTQ, bytes(4)))
        except (OSError, ValueError):
            return 0
        return int(unsent) + self.transport.wants_write

    def announce(self, text: str) -> None:
        """Send a short text of the reflector's own."""
        self._attempt(lambda: self.transport.announce(text))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._attempt(lambda: self.transport.send_nowait(Ping(b"medusa")))

    def close(self, close: Close) -> None:
        """Send a Close behind what is still to be written. A link that was left inside a frame is aborted instead: what
        would follow is not a frame."""
        if self.transport.mid_frame:
            self.lose("the other side was lost inside a message")
        else:
            self._attempt(lambda: self.transport.send_nowait(close))

    def lose(self, why: str) -> None:
        """Give the peer up."""
        self.pump.why = why
        self._stop()
        self.transport.abort()
        self._end(Progress.LOST)

    def dismiss(self, close: Close) -> None:
        """Let go of the link, with `close` where neither side has sent one."""
        if self.gone is None and not self.transport.mid_frame:
            try:
                self.transport.send_nowait(close)
            except (BrokenTransport, ClosedTransport):
                pass
        self._stop()
        self.transport.abort()

    def _attempt(self, send: Callable[[], object]) -> None:
        try:
            send()
        except (BrokenTransport, ClosedTransport):
            pass  # reading tells
        self._settle()

    def _on_readable(self) -> None:
        if self._stopped or self.gone not in _READ_ON:
            return
        try:
            self._read()
        except Exception:
            log.exception("internal error")
            self._give_up()

    def _read(self) -> None:
        if self._discarding:
            self._discard()
            return
        terminal = self.pump.terminal
        progress = self.pump.step()
        if progress is not Progress.IDLE:
            now = time.monotonic()
            self.keepalive.received(now)
            if self.pump.terminal != terminal:
                self.active = now
        if self.pump.unheard and self.side is Side.AGENT:
            self._answer_for_client()
        if progress is Progress.MOVED:
            self._go_on()
            return
        if progress in _ENDS:
            self._end(progress)
        self._settle()
        if self._feeds is not None:
            self._feeds._settle()
        elif self.gone in _READ_ON:
            self._listen(True)

    def _answer_for_client(self) -> None:
        """A client does so itself, but a plain one does not hear that the agent is done."""
        for text in self.pump.unheard:
            if isinstance(parse(text.decode()), (Error, Exit)):
                self.close(_DONE)

    def _go_on(self) -> None:
        """After the usual step: nothing waits on the other side, so nothing is to be settled there."""
        transport = self.transport
        if transport.last_read >= BULK or transport.costly or transport.pending:
            self._queue_up()
        else:
            self._listen(True)
        if transport.wants_write:
            self._settle()
        if self._feeds is not None and self.pump.sink is None:
            self._feeds._settle()  # writing there has failed

    def _discard(self) -> None:
        self.keepalive.received(time.monotonic())
        if self.transport.discard():
            self._end(Progress.LOST)
        elif self.transport.pending:
            self._queue_up()
        else:
            self._listen(True)

    def _queue_up(self) -> None:
        """Take turns: after a large read or a costly one, and for what makes no socket readable."""
        if not self._queued:
            self._queued = True
            self._readable.stop()
            self._turns.add(self._take_turn)

    def _take_turn(self) -> None:
        self._queued = False
        if not self._stopped:
            self._on_readable()

    def _on_writable(self) -> None:
        feeder = self._fed_by
        if feeder is not None and feeder.gone is None and feeder.transport.last_read >= BULK:
            self._writable.stop()
            feeder._queue_up()  # its turn begins with what waits here
            return
        try:
            with contextlib.suppress(BrokenTransport):
                self.transport.flush()
            self._settle()
        except Exception:
            log.exception("internal error")
            self._give_up()

    def _give_up(self) -> None:
        """For a bug: this link ends, and no other."""
        if not self._told:
            self.lose("internal error")
        else:
            self._stop()
            self.transport.abort()

    def _end(self, progress: Progress) -> None:
        self.gone = progress
        if progress is Progress.BROKE_RULES:
            self._discarding = True
            self._listen(True)  # in a turn it is not watched
        else:
            self._readable.stop()
        if progress is Progress.CLOSED and self.passes_fin:
            self._pass_fin()
        else:
            self._tell()

    def _tell(self) -> None:
        assert self.gone is not None
        self._told = True
        self._report(self, self.gone)

    def _pass_fin(self) -> None:
        assert self._feeds is not None
        assert self.pump.close is not None
        self._first = self._feeds.gone is None
        self._feeds.close(self.pump.close)

    def _tell_in_time(self) -> None:
        """Two that passed on their FINs are over when both have come, and all that was sent is written; or when one
        cannot be written to any more."""
        other = self._feeds
        if self.transport.write_failed:
            self._tell()
        if other is None or self._told or other._told or other.gone is None:
            return
        if not self.transport.wants_write and not other.transport.wants_write:
            for leg in (self, other) if self._first else (other, self):
                leg._tell()

    def _settle(self) -> None:
        """Watch for what is waited for, after anything that may have changed it."""
        if self._stopped:
            return
        wants_write = self.transport.wants_write
        switch(self._writable, wants_write, self._on_writable)
        if self.gone is not None:
            if not self._told:
                self._tell_in_time()
            if self._told and not wants_write:
                self.transport.finish()
        elif self.transport.write_failed and self.paused:
            self.lose("the connection broke while the other side did not read")
        feeder = self._fed_by
        if feeder is not None and feeder.gone is None:
            feeder._listen(not wants_write)

    def _listen(self, on: bool) -> None:
        """Whether to read."""
        if self._readable.active is on or self._queued or self._stopped:
            return
        self.keepalive.received(time.monotonic())  # it could not be heard while it was not read
        switch(self._readable, on, self._on_readable)
        if on and self.transport.pending:
            self._queue_up()

    def _stop(self) -> None:
        """For good: a descriptor may not be closed while it is watched."""
        self._stopped = True
        self._readable.close()
        self._writable.close()


def switch(watcher: Any, on: bool, callback: Callable[[], None]) -> None:
    """Start or stop a watcher, where that is not so already."""
    if on is not watcher.active:
        if on:
            watcher.start(callback)
        else:
            watcher.stop()
