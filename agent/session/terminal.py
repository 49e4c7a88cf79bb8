"""Speaks the agent's end of the protocol for one command on a terminal (docs/protocol.md, parts 1 and 2).

The table of this protocol is in phases.py.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Union

from agent.command.resolve import CannotStart, merge_size, resolve
from agent.poller import earliest
from agent.process.commands import Commands, describe_exit
from agent.process.context import Context
from agent.process.drain import Drain
from agent.process.terminal_child import TerminalChild
from agent.session.phases import TABLE, Action, Input, Phase
from agent.streams.shared import Shared
from medusa.protocol import control
from medusa.protocol.control import Control, Error, Resize, Start, Started
from medusa.protocol.messages import Binary, Part, Text
from medusa.protocol.record import replace
from medusa.transports.link import Link, LinkLost, Loss

_LOSSES = {
    Loss.CLOSED: Input.CLIENT_CLOSED,
    Loss.BROKEN: Input.LINK_LOST,
    Loss.ILLEGAL: Input.PEER_BROKE_PROTOCOL,
    Loss.SILENT: Input.LINK_LOST,
}


class TerminalSpeaker:
    """Runs one command on a terminal over one link. It has the methods of `Speaker` in leg.py.

    Args:
        shared: gives the bytes that the user is shown before any output of the command.
        close: a function that closes the link. Its arguments are a text for the log, and the reason for the peer.
    """

    def __init__(
        self, link: Link, commands: Commands, context: Context, shared: Shared, close: Callable[[str, str], None]
    ) -> None:
        self._link, self._commands, self._context, self._shared, self._close = link, commands, context, shared, close
        self._log, self._clock, self._timeouts = context.log, context.clock, context.timeouts
        self._phase = Phase.WAITING
        self._words = ""
        self._size: Optional[Resize] = None
        self._child: Optional[TerminalChild] = None
        self._drain: Optional[Drain] = None
        self._leave_at: Optional[float] = None
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

    @property
    def waits(self) -> bool:
        """True if the client has not asked for a command yet."""
        return self._phase is Phase.WAITING

    def _process(self, event: Input, payload: object = None) -> None:
        phase, actions = TABLE[self._phase, event]
        self._phase = phase
        for action in actions:
            self._actions[action](payload)

    def _end(self, event: Input, words: str, payload: object = None) -> None:
        self._words = words
        self._process(event, payload)

    # ------------------------------------------------------------------ poll

    @property
    def reading(self) -> bool:
        """True if the link may be read; False while too much input waits for the terminal."""
        return self._child is None or not self._child.full

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        child = self._child
        return {} if child is None or child.fd < 0 else {child.fd: child.events(reading=self._reads_output)}

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        due: List[Optional[float]] = [None if self._child is None else self._child.deadline(), self._leave_at]
        if self._phase is Phase.DRAINING and self._drain is not None and self._link.clear:
            due.append(self._drain.deadline())
        return earliest(due)

    def receive(self, message: Union[Binary, Part, Control]) -> None:
        """Processes a message of the link."""
        if isinstance(message, Binary):
            self._process(Input.DATA, message.data)
        elif isinstance(message, Start):
            self._process(Input.START, message)
        elif isinstance(message, Resize):
            self._process(Input.RESIZE, message)

    def serve(self, events: Dict[int, int]) -> None:
        """Moves bytes between the link and the terminal, without waiting. Ignores `events`. Raises LinkLost."""
        if self._child is not None and self._child.exit is not None:
            self._process(Input.CHILD_EXITED)
        self._serve_child()
        self._check_clocks()

    # ------------------------------------------------------------------ the link's end

    def lost(self, lost: LinkLost, words: str) -> None:
        """Ends the command, because the link has ended. `words` say why, for the log."""
        self._end(_LOSSES[lost.loss], words)

    def stop(self, name: str) -> None:
        """Ends the command because the signal `name` asks the agent to stop."""
        self._end(Input.STOPPED, "stopped by %s" % name, name)

    def fail(self) -> None:
        """Ends the command after an unexpected exception."""
        self._end(Input.FAILED, "")

    # ------------------------------------------------------------------ terminal

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

    def _check_clocks(self) -> None:
        now, clear = self._clock(), self._link.clear
        if self._phase is Phase.DRAINING and self._drain is not None and self._drain.over(now, clogged=not clear):
            self._process(Input.DRAINED)
        if self._phase is Phase.LEAVING and self._leave_at is None and self._link.clear:
            self._leave_at = now + self._timeouts.leave_timeout
        if self._phase is Phase.LEAVING and self._leave_at is not None and now >= self._leave_at:
            self._end(Input.LEAVE_EXPIRED, "done; the client did not close")

    # ------------------------------------------------------------------ actions

    def _keep_size(self, size: Resize) -> None:
        self._size = merge_size(size.columns, size.lines, self._size)

    def _start_child(self, start: Start) -> None:
        context = self._context
        try:
            wanted = start if context.login_shell else replace(start, login=None)
            launch = resolve(wanted, self._size, context.environ)
            for note in launch.notes:
                self._log(note)
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
        preface = self._shared.take_preface()
        self._link.queue(_text(Started(pid)), *([Binary(preface)] if preface else []))

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
        self._log("ended: %s" % describe_exit(self._child.exit))
        self._shared.exits += 1
        self._link.queue(_text(self._child.exit))

    def _send_stopped(self, name: str) -> None:
        try:
            if self._link.clear:
                self._link.send_control(Error("the agent was stopped by %s" % name))
        except LinkLost:
            pass  # the session ends in any case

    def _hang_up(self, _: object) -> None:
        if self._child is not None:
            self._commands.end(self._child)

    def _close_link(self, _: object) -> None:
        self._close(self._words, "")


def _text(message: Control) -> Text:
    return Text(control.build(message))
