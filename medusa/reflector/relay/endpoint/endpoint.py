"""Runs the connection of one side (client or agent): carries out the table in states.py. watched.py moves the bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from medusa.protocol.errors import PolicyViolation
from medusa.protocol.keepalive import Keepalive
from medusa.protocol.messages import Close, Ping
from medusa.reflector.relay.endpoint import states
from medusa.reflector.relay.endpoint.states import Action, Input
from medusa.reflector.relay.endpoint.watched import Watched
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.relay.pump import Progress
from medusa.session import Side
from medusa.transports.base import READS_AT_ONCE, BrokenTransport, ClosedTransport
from medusa.transports.relayed import RelayedTransport

Report = Callable[["Endpoint", Progress], None]


class Endpoint(Watched):
    """The connection of one side (client or agent). It drops what it reads until `forward` joins it to the other side.

    `report` is called once, with CLOSED or LOST, when the peer has ended the connection. If the peer breaks the
    protocol, `report` is called with BROKE_RULES, and again with LOST when the peer hangs up.

    Attributes:
        address: the peer's address, for logs and lists.
    """

    _sink: Endpoint | None
    _source: Endpoint | None

    def __init__(
        self,
        queue: FairQueue,
        side: Side,
        transport: RelayedTransport,
        keepalive: Keepalive,
        report: Report,
        address: str = "",
    ) -> None:
        super().__init__(queue, transport, keepalive)
        self.side = side
        self.address = address
        self._report = report

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
