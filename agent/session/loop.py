"""Runs one session: joins a link and a command on a terminal, in one thread that never blocks.

phases.py has the session's table.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional

from agent.command.resolve import CannotStart, merge_size, resolve
from agent.poller import FAILED, PEER_CLOSED, READ, Poller
from agent.process.commands import Commands
from agent.process.drain import Drain
from agent.process.inherited import NOTHING, Inherited
from agent.process.terminal_child import TerminalChild
from agent.session.phases import TABLE, Action, Input, Phase
from agent.signals import StopSignals
from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.guard import Guard
from medusa.protocol import control
from medusa.protocol.control import Control, Error, Exit, Resize, Start, Started
from medusa.protocol.messages import Binary, Close, Message, Text
from medusa.transports.base import Transport
from medusa.transports.link import Link, LinkLost, Loss

MESSAGES_PER_ROUND = 64

_LOSSES = {
    Loss.CLOSED: Input.CLIENT_CLOSED,
    Loss.BROKEN: Input.LINK_LOST,
    Loss.ILLEGAL: Input.PEER_BROKE_PROTOCOL,
    Loss.SILENT: Input.LINK_LOST,
}


@dataclass(frozen=True)
class Context:
    """What a session needs from the process that runs it.

    Attributes:
        environ: the agent's own environment, decoded by `to_text` of agent/command/encoding.py.
        log: a function that logs one line about an event.
        inherited: the settings, inherited from the job, that are restored for the command.
        clock: returns monotonic seconds.
        passed_on: the signals that go on to the session's foreground processes.
        login_shell: False to start no login shell, even if the client asks for one. A login shell changes variables
            such as PATH. But the shell after a failed step (see agent/wrap) must have the variables of the step.
    """

    signals: StopSignals
    guard: Guard
    environ: Mapping[str, str]
    log: Callable[[str], None]
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    clock: Callable[[], float] = time.monotonic
    inherited: Inherited = NOTHING
    passed_on: Collection[int] = ()
    login_shell: bool = True


class SessionLoop:
    """One session over `transport`. From now on, only the session uses the transport. It closes it at the end.

    Args:
        preface: bytes that the user is shown before any output of the command.
    """

    def __init__(
        self, transport: Transport, context: Context, preface: bytes = b"", poller: Optional[Poller] = None
    ) -> None:
        self._context, self._preface = context, preface
        self._signals, self._log = context.signals, context.log
        self._timeouts, self._clock = context.timeouts, context.clock
        self._link = Link(transport, self._clock, self._timeouts.keepalive_interval)
        self._phase = Phase.WAITING
        self._size: Optional[Resize] = None
        self._child: Optional[TerminalChild] = None
        self._drain: Optional[Drain] = None
        self._leave_at: Optional[float] = None
        self._commands = Commands(context.guard, self._clock, self._timeouts)
        self._poller = poller or Poller()
        self._actions: Dict[Action, Callable[[Any], None]] = {
            Action.KEEP_SIZE: self._keep_size,
            Action.START_CHILD: self._start_child,
            Action.SEND_STARTED: self._send_started,
            Action.SEND_ERROR: self._send_error,
            Action.WRITE_INPUT: self._write_input,
            Action.RESIZE_TERMINAL: self._resize_terminal,
            Action.BEGIN_DRAIN: self._begin_drain,
            Action.SEND_EXIT: self._send_exit,
            Action.SEND_STOPPED: self._send_stopped,
            Action.HANG_UP: self._hang_up,
            Action.CLOSE_LINK: self._close_link,
        }

    def run(self) -> None:
        """Runs the session. Returns when it is over: its link is closed and its last process has ended."""
        try:
            self._run()
        except BaseException:
            self._process(Input.FAILED)
            self._run()
            raise

    def _run(self) -> None:
        while self._phase is not Phase.ENDED:
            try:
                self._round()
            except LinkLost as lost:
                self._end(_LOSSES[lost.loss], self._describe(lost))

    def _process(self, event: Input, payload: object = None) -> None:
        phase, actions = TABLE[self._phase, event]
        self._phase = phase
        for action in actions:
            self._actions[action](payload)

    def _end(self, event: Input, words: str, payload: object = None) -> None:
        if self._phase is not Phase.ENDING:
            self._log("session over: " + words)
        self._process(event, payload)

    # ------------------------------------------------------------------ one round

    def _round(self) -> None:
        self._poller.watch(self._wanted())
        events = self._poller.wait(self._timeout())
        if events.get(self._signals.fileno()):
            self._pass_on(self._signals.take())
            self._check_signals()
        if self._phase is not Phase.ENDING:
            self._serve_link(events.get(self._link.fileno(), 0))
            self._serve_child()
            self._check_clocks()
        self._check_processes()

    def _wanted(self) -> Dict[int, int]:
        wanted = {self._signals.fileno(): READ}
        if self._phase is not Phase.ENDING:
            wanted[self._link.fileno()] = self._link.events(reading=not self._input_is_full()) | PEER_CLOSED
            if self._child is not None and self._child.fd >= 0:
                wanted[self._child.fd] = self._child.events(reading=self._reads_output)
        return wanted

    def _timeout(self) -> float:
        now = self._clock()
        due: List[Optional[float]] = []
        if self._phase is not Phase.ENDING:
            if self._link.unread and not self._input_is_full():
                return 0.0
            due.append(self._link.deadline())
            due.append(None if self._child is None else self._child.deadline())
            due.append(self._leave_at)
            if self._phase is Phase.DRAINING and self._drain is not None and self._link.clear:
                due.append(self._drain.deadline())
        if self._phase is Phase.ENDING or self._commands.ending:
            due.append(now + self._timeouts.processes_interval)
        return max(0.0, min(at for at in due if at is not None) - now)

    def _pass_on(self, numbers: List[int]) -> None:
        for number in numbers:
            if number in self._context.passed_on:
                self._log("got %s" % signal.Signals(number).name)
                if self._child is not None:
                    self._child.signal(number)

    def _check_signals(self) -> None:
        if self._signals.stopped is not None:
            name = signal.Signals(self._signals.stopped).name
            self._end(Input.STOPPED, "stopped by %s" % name, name)
        self._commands.reap()
        if self._child is not None and self._child.exit is not None:
            self._process(Input.CHILD_EXITED)

    # ------------------------------------------------------------------ link

    def _serve_link(self, events: int) -> None:
        self._link.flush()
        if self._input_is_full():
            if events & (PEER_CLOSED | FAILED):
                self._end(Input.LINK_LOST, "link lost while the terminal did not take its input")
            return
        if not events and not self._link.unread:
            return
        for _ in range(MESSAGES_PER_ROUND):
            message = self._link.receive()
            if message is None:
                return
            self._handle(message)
            if self._input_is_full() or self._phase is Phase.ENDING:
                return

    def _handle(self, message: Message) -> None:
        if isinstance(message, Binary):
            self._process(Input.DATA, message.data)
        elif isinstance(message, Close):
            raise LinkLost(Loss.CLOSED, message.reason)
        elif isinstance(message, Text):
            request = control.parse(message.text)
            if isinstance(request, Start):
                self._process(Input.START, request)
            elif isinstance(request, Resize):
                self._process(Input.RESIZE, request)

    def _describe(self, lost: LinkLost) -> str:
        if lost.loss is Loss.CLOSED:
            return "closed: %s" % lost.detail if lost.detail else "closed"
        if lost.loss is Loss.SILENT:
            return "link lost: silent for %d s" % (3 * self._timeouts.keepalive_interval)
        return ("link lost: %s" if lost.loss is Loss.BROKEN else "the peer broke the protocol: %s") % lost.detail

    # ------------------------------------------------------------------ terminal

    def _input_is_full(self) -> bool:
        return self._child is not None and self._child.full

    @property
    def _reads_output(self) -> bool:
        return self._link.clear and (self._drain is None or not self._drain.spent)

    def _serve_child(self) -> None:
        if self._child is None or self._child.fd < 0:
            return
        self._child.write_input()
        if self._reads_output:
            self._relay_output(self._child)
        elif self._drain is not None:
            self._drain.not_read(self._clock())

    def _relay_output(self, child: TerminalChild) -> None:
        try:
            data = child.read()
        except EOFError:
            if self._drain is None:
                child.retry_later()
            else:
                self._drain.end_of_file()
            return
        if data is not None:
            self._link.send_data(data)
            if self._drain is not None:
                self._drain.received(len(data), self._clock())

    # ------------------------------------------------------------------ clocks

    def _check_clocks(self) -> None:
        now, clear = self._clock(), self._link.clear
        if self._phase is Phase.DRAINING and self._drain is not None and self._drain.over(now, clogged=not clear):
            self._process(Input.DRAINED)
        if self._phase is Phase.LEAVING and self._leave_at is None and self._link.clear:
            self._leave_at = now + self._timeouts.leave_timeout
        if self._phase is Phase.LEAVING and self._leave_at is not None and now >= self._leave_at:
            self._end(Input.LEAVE_EXPIRED, "done; the client did not close")
        if self._phase is not Phase.ENDING:
            self._link.keep_alive()

    def _check_processes(self) -> None:
        self._commands.step()
        if self._phase is Phase.ENDING and not self._commands.ending:
            self._process(Input.PROCESSES_GONE)

    # ------------------------------------------------------------------ actions

    def _keep_size(self, size: Resize) -> None:
        self._size = merge_size(size.columns, size.lines, self._size)

    def _start_child(self, start: Start) -> None:
        try:
            wanted = start if self._context.login_shell else replace(start, login=None)
            launch = resolve(wanted, self._size, self._context.environ)
            for note in launch.notes:
                self._log(note)
            context = self._context
            self._child = TerminalChild.start(launch, context.guard, self._clock, self._timeouts, context.inherited)
        except CannotStart as error:
            self._log("not started: %s" % error)
            self._process(Input.NOT_STARTED, str(error))
            return
        self._commands.add(self._child)
        self._log("started %s, pid %d" % (launch.argv[0], self._child.pid))
        self._size = launch.size
        self._process(Input.STARTED, self._child.pid)

    def _send_started(self, pid: int) -> None:
        preface = [Binary(self._preface)] if self._preface else []
        self._link.queue(_text(Started(pid)), *preface)

    def _send_error(self, reason: str) -> None:
        self._link.queue(_text(Error(reason)))

    def _write_input(self, data: bytes) -> None:
        if self._child is not None:
            self._child.put(data)

    def _resize_terminal(self, _: Resize) -> None:
        if self._child is not None and self._size is not None:
            self._child.resize(self._size)

    def _begin_drain(self, _: None) -> None:
        self._drain = Drain(self._clock(), not self._link.clear, self._timeouts)
        if self._child is not None:
            self._child.drop_input()
            self._child.retry_now()

    def _send_exit(self, _: None) -> None:
        assert self._child is not None
        assert self._child.exit is not None
        self._log("ended: %s" % _describe_exit(self._child.exit))
        self._link.queue(_text(self._child.exit))

    def _send_stopped(self, name: str) -> None:
        try:
            if self._link.clear:
                self._link.send_control(Error("the agent was stopped by %s" % name))
        except LinkLost:
            pass  # the session ends in any case

    def _hang_up(self, _: object) -> None:
        if self._child is not None:
            self._commands.end_all()

    def _close_link(self, _: object) -> None:
        self._link.close(timeout=self._timeouts.close_timeout)


def _text(message: Control) -> Text:
    return Text(control.build(message))


def _describe_exit(end: Exit) -> str:
    return "killed by %s" % end.signal if end.signal else "status %s" % end.status
