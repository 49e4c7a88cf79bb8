"""One session: a link and a terminal joined, in one thread that never blocks.

waiting   for `start`; nothing else is heeded but a `resize`
running   the child lives
draining  it has ended; what it wrote is still on its way out of the terminal
leaving   `exit` or `error` is said; the client closes, or the agent does after a while
"""

from __future__ import annotations

import enum
import os
import signal
import time
from typing import Callable, Dict, List, Mapping, Optional

from agent.poller import FAILED, PEER_CLOSED, READ, WRITE, Poller
from agent.session import process_tree
from agent.session.child import PtyChild
from agent.session.command import CannotStart, merge_size, resolve
from agent.signals import StopSignals
from medusa.guard import Guard
from medusa.protocol import control
from medusa.protocol.control import Control, Error, Exit, Resize, Start, Started
from medusa.protocol.errors import RemoteProtocolError
from medusa.protocol.keepalive import Keepalive, Verdict
from medusa.protocol.messages import Binary, Close, Message, Ping, Text
from medusa.transports.base import BrokenTransport, ClosedTransport, Transport

KEEPALIVE = 15.0
"""Seconds; the reflector's own default, and half of what the original's front door lets pass in silence."""

INPUT_HIGH = 256 * 1024
"""Bytes waiting for the terminal above which the link is not read: a paste waits in the network, not in memory."""
INPUT_LOW = INPUT_HIGH // 2

FEED_RETRY = 0.05
"""A terminal's driver may forget to say that it takes input again."""
REOPEN_RETRY = 0.2
"""A terminal that nobody holds open reports its hang-up for ever; its child may open it again."""

DRAIN_QUIET = 0.2
DRAIN_BYTES = 256 * 1024
"""A terminal holds less than this; what comes above it after the child's exit is a background child's."""
DRAIN_LIMIT = 2.0
"""Seconds that the drain lasts at most, while the link is not clogged: a background child may trickle for ever."""

LEAVE_TIMEOUT = 5.0
"""Seconds for the client to close after `exit` or `error`."""
CLOSE_TIMEOUT = 1.0
MESSAGES_PER_TURN = 64


class Phase(enum.Enum):
    """See the module's head."""

    WAITING = enum.auto()
    RUNNING = enum.auto()
    DRAINING = enum.auto()
    LEAVING = enum.auto()


class _Over(Exception):
    """The session is over; the text says why."""


class Session:
    """One session over `link`, which this owns from here on.

    Attributes:
        preface: what the client is shown before anything of the child's.

    Args:
        environ: the agent's own environment, as text by `command.to_text`.
        grace: seconds between SIGHUP and SIGKILL for what is left of the child's session.
    """

    def __init__(
        self,
        link: Transport,
        signals: StopSignals,
        guard: Guard,
        environ: Mapping[str, str],
        log: Callable[[str], None],
        grace: float = process_tree.GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._signals, self._guard = link, signals, guard
        self._environ, self._log, self._grace, self._clock = environ, log, grace, clock
        self._phase = Phase.WAITING
        self._child: Optional[PtyChild] = None
        self._ending: Optional[process_tree.Ending] = None
        self._early: Optional[Resize] = None
        self._input = bytearray()
        self._paused = False  # the link is not read, because the terminal does not take its input
        self._unread = True  # the link may hold messages that no poll would report
        self.preface = b""
        self._say: List[Message] = []  # what data must wait for: started and the preface; exit or error
        self._reopen_at = self._quiet_since = 0.0
        self._leave_at: Optional[float] = None
        self._drained = 0  # bytes
        self._drain_left, self._drain_seen, self._drain_stood = DRAIN_LIMIT, 0.0, False
        self._spared = process_tree.children(
            os.getpid()
        )  # the guard, and what an `exec` of the agent may have brought along
        self._poller = Poller()
        self._traffic = (0, 0)
        self._keepalive = Keepalive(KEEPALIVE, clock(), idle_sender=True)

    def run(self) -> None:
        """Until the session is over, its link closed and its last process gone."""
        try:
            while True:
                self._turn()
        except _Over as over:
            self._log("session over: %s" % over)
        except ClosedTransport as closed:
            self._log("session over: closed%s" % _reason(closed.close))
        except BrokenTransport as broken:
            self._log("session over: link lost: %s" % broken)
        except RemoteProtocolError as error:
            self._log("session over: the peer broke the protocol: %s" % error)
        finally:
            self._end()

    # ------------------------------------------------------------------ one turn

    def _turn(self) -> None:
        self._poller.watch(self._wanted())
        events = self._poller.wait(self._timeout())
        if events.get(self._signals.fileno()):
            self._signals.take()
            self._take_signals()
        self._write_link()
        self._read_link(events.get(self._link.fileno(), 0))
        if self._child is not None and self._child.fd >= 0:
            self._feed(self._child)
            self._relay_output(self._child)
        self._tend()

    def _wanted(self) -> Dict[int, int]:
        link = PEER_CLOSED | (0 if self._paused else READ) | (WRITE if self._link.wants_write else 0)
        wanted = {self._signals.fileno(): READ, self._link.fileno(): link}
        if self._child is not None and self._child.fd >= 0:
            wanted[self._child.fd] = (READ if self._reads_child() else 0) | (WRITE if self._input else 0)
        return wanted

    def _timeout(self) -> float:
        now = self._clock()
        if self._unread and not self._paused:
            return 0.0
        due = [self._keepalive.deadline()]
        if self._input:
            due.append(now + FEED_RETRY)
        if self._reopen_at > now:
            due.append(self._reopen_at)
        if self._phase is Phase.DRAINING and not self._link.wants_write:
            due += [self._quiet_since + DRAIN_QUIET, self._drain_seen + self._drain_left]
        if self._leave_at is not None:
            due.append(self._leave_at)
        if self._ending is not None and not self._ending.done:
            due.append(now + process_tree.TICK)
        return max(0.0, min(due) - now)

    def _take_signals(self) -> None:
        if self._signals.stopped is not None:
            name = signal.Signals(self._signals.stopped).name
            if self._phase is not Phase.LEAVING and not self._link.wants_write:
                self._link.send_nowait(Text(control.build(Error("the agent was stopped by %s" % name))))
            raise _Over("stopped by %s" % name)
        if self._child is not None and self._child.reap() and self._phase is Phase.RUNNING:
            self._phase = Phase.DRAINING
            self._quiet_since = self._drain_seen = self._clock()
            self._reopen_at, self._drain_stood = 0.0, self._link.wants_write
            self._drop_input()

    # ------------------------------------------------------------------ link

    def _write_link(self) -> None:
        while self._link.flush() and self._say:
            self._link.send_nowait(self._say.pop(0))

    def _read_link(self, events: int) -> None:
        if self._paused:
            if events & (PEER_CLOSED | FAILED):
                raise _Over("link lost while the terminal did not take its input")
            return
        if not events and not self._unread:
            return
        for _ in range(MESSAGES_PER_TURN):
            message = self._link.receive_nowait()
            if message is None:
                self._unread = False
                return
            self._handle(message)
            if self._paused:
                break
        self._unread = True

    def _handle(self, message: Message) -> None:
        if isinstance(message, Close):
            raise _Over("closed%s" % _reason(message))
        if isinstance(message, Binary) and self._phase is Phase.RUNNING:
            self._input += message.data
            self._paused = len(self._input) > INPUT_HIGH
        elif isinstance(message, Text):
            self._heed(control.parse(message.text))

    def _heed(self, wish: Optional[Control]) -> None:
        if isinstance(wish, Start) and self._phase is Phase.WAITING:
            self._start(wish)
        elif isinstance(wish, Resize):
            self._early = merge_size(wish.columns, wish.lines, self._early)
            if self._phase is Phase.RUNNING and self._child is not None:
                self._child.resize(self._early)

    def _start(self, wish: Start) -> None:
        try:
            launch = resolve(wish, self._early, self._environ)
            for note in launch.notes:
                self._log(note)
            child = PtyChild.spawn(launch, self._guard)
        except CannotStart as error:
            self._log("not started: %s" % error)
            self._leave(Error(str(error)))
            return
        self._log("started %s, pid %d" % (launch.argv[0], child.pid))
        self._child, self._early, self._phase = child, launch.size, Phase.RUNNING
        self._say.append(Text(control.build(Started(child.pid))))
        if self.preface:
            self._say.append(Binary(self.preface))
        self._write_link()

    # ------------------------------------------------------------------ terminal

    def _reads_child(self) -> bool:
        """Whether output is wanted and has somewhere to go: `started` is said and the link takes data."""
        ready = not self._say and not self._link.wants_write and self._clock() >= self._reopen_at
        return ready and not self._drain_spent()

    def _feed(self, child: PtyChild) -> None:
        if not self._input:
            return
        try:
            with memoryview(self._input) as view:
                taken = child.write(view[:INPUT_HIGH])
        except EOFError:
            self._drop_input()
            return
        del self._input[:taken]
        if len(self._input) <= INPUT_LOW:
            self._paused = False

    def _drop_input(self) -> None:
        self._input.clear()
        self._paused = False

    def _relay_output(self, child: PtyChild) -> None:
        if not self._reads_child():
            self._quiet_since = self._clock()  # the drain's clock stands still while the link is clogged
            return
        try:
            data = child.read()
        except EOFError:
            if self._phase is Phase.RUNNING:
                self._reopen_at = self._clock() + REOPEN_RETRY
            else:
                self._drained = DRAIN_BYTES
            return
        if data is None:
            return
        self._link.send_nowait(Binary(data))
        if self._phase is Phase.DRAINING:
            self._drained += len(data)
            self._quiet_since = self._clock()

    def _drain_spent(self) -> bool:
        return self._drained >= DRAIN_BYTES or self._drain_left <= 0

    def _count_drain(self, now: float) -> None:
        if not self._drain_stood:
            # No turn waits longer than DRAIN_QUIET: whoever was kept from running for a while still gets his turns.
            self._drain_left -= min(now - self._drain_seen, DRAIN_QUIET)
        self._drain_seen, self._drain_stood = now, self._link.wants_write

    # ------------------------------------------------------------------ time

    def _tend(self) -> None:
        now = self._clock()
        if self._phase is Phase.DRAINING:
            self._count_drain(now)
            drained = self._drain_spent() or now - self._quiet_since >= DRAIN_QUIET
            if drained and not self._link.wants_write:
                self._exit(now)
        if self._phase is Phase.LEAVING and self._leave_at is None and not self._say and not self._link.wants_write:
            self._leave_at = now + LEAVE_TIMEOUT
        if self._leave_at is not None and now >= self._leave_at:
            raise _Over("done; the client did not close")
        if self._ending is not None:
            self._ending.step(now)
        self._keep_alive(now)

    def _keep_alive(self, now: float) -> None:
        heard, sent = self._traffic
        if self._paused or self._link.received != heard:
            self._keepalive.received(now)
        if self._link.sent != sent:
            self._keepalive.sent(now)
        self._traffic = (self._link.received, self._link.sent)
        verdict = self._keepalive.check(now)
        if verdict is Verdict.PING:
            self._link.send_nowait(Ping())
        elif verdict is Verdict.LOST:
            raise _Over("link lost: silent for %d s" % (3 * KEEPALIVE))

    # ------------------------------------------------------------------ the end

    def _exit(self, now: float) -> None:
        child = self._child
        if child is None or child.exit is None:
            raise AssertionError("only an ended child is drained")
        self._log("ended: %s" % _describe(child.exit))
        self._leave(child.exit)
        self._hang_up(child, now)

    def _leave(self, last: Control) -> None:
        self._phase = Phase.LEAVING
        self._say.append(Text(control.build(last)))
        self._write_link()

    def _hang_up(self, child: PtyChild, now: float) -> None:
        if self._ending is None:
            members = process_tree.Family(child.pid, child.foreground(), os.getpid(), self._spared)
            self._ending = process_tree.Ending(members, now, self._grace)
            child.close()

    def _end(self) -> None:
        child = self._child
        if child is not None:
            self._hang_up(child, self._clock())
        self._link.close(timeout=CLOSE_TIMEOUT)
        if child is not None and self._ending is not None:
            self._bury(child, self._ending)

    def _bury(self, child: PtyChild, ending: process_tree.Ending) -> None:
        poller = Poller()
        poller.watch({self._signals.fileno(): READ})
        child.reap()
        while not ending.step(self._clock()):
            poller.wait(process_tree.TICK)
            self._signals.take()
            child.reap()
        child.reap()
        self._guard.tell(process_tree.tell_ended(child.pid))


def _reason(close: Optional[Close]) -> str:
    return ": %s" % close.reason if close is not None and close.reason else ""


def _describe(end: Exit) -> str:
    return "killed by %s" % end.signal if end.signal else "status %s" % end.status
