"""The session: one loop over terminal, link and signals, from `start` to the agent's `exit`."""

from __future__ import annotations

import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from medusa.client.outcome import Failure, Interrupted, OutcomeUnknown
from medusa.client.session import escape
from medusa.client.session.link_errors import describe
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.stdout import Stdout
from medusa.client.terminal.tty import Terminal, window_size
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.control import Error, Exit, Notice, Resize, Start, Started, parse
from medusa.protocol.messages import Binary, Close, Message, Text
from medusa.protocol.printable import printable
from medusa.transports.link import Link, LinkLost, Loss

HIGH_WATER = 256 * 1024
"""Bytes that may wait for the terminal, or for the link, before the other end is no longer read."""

_READ = 64 * 1024

END_OF_FILE = b"\x04"
"""Control-D: a terminal has no other way to say that its input ended."""

SUSPEND_ADVICE = "suspended; a session that is silent for 45 seconds is lost"


@dataclass
class Console:
    """Everything the session touches on the user's side."""

    terminal: Terminal
    stdout: Stdout
    messages: Messages
    signals: Signals


class TerminalSession:
    """One session over a link on which linkup was received."""

    def __init__(
        self,
        link: Link,
        console: Console,
        character: bytes | None,
        info: Callable[[], Iterable[str]],
        walltime: WalltimeNotices,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self._link = link
        self._terminal, self._stdout = console.terminal, console.stdout
        self._messages, self._signals = console.messages, console.signals
        self._scanner = escape.EscapeScanner(character)
        self._character = character
        self._info = info
        self._walltime = walltime
        self._typed = bytearray()
        self._last_typed = b"\n"
        self._input_open = True
        self._again_at = math.inf
        self._again_after = timeouts.end_of_input_interval
        self._again_longest = timeouts.end_of_input_longest_interval
        self._resized = False
        self._started = False
        self._end: Exit | None = None

    def run(self, start: Start) -> Exit:
        """Sends `start`, then passes bytes until the agent says `exit`.

        Returns:
            What the agent said. The link is closed, all output is written.

        Raises:
            Failure: the agent could not start the command.
            OutcomeUnknown: the session ended in any other way.
        """
        try:
            return self._converse(start)
        except Interrupted as error:
            self._link.close("interrupted")
            raise OutcomeUnknown(str(error)) from error

    def _converse(self, start: Start) -> Exit:
        try:
            self._link.send_control(start)
            while self._end is None:
                self._turn()
        except LinkLost as error:
            self._drain()
            raise OutcomeUnknown(describe(error)) from error
        self._link.close("done")
        self._drain()
        return self._end

    def _turn(self) -> None:
        self._receive()
        if self._end is not None:
            return
        self._link.keep_alive()
        warning = self._walltime.warning(time.monotonic())
        if warning is not None:
            self._messages.error(warning)
        self._send()
        self._write()
        self._wait()

    # From the link.

    def _receive(self) -> None:
        """Until nothing is there, not until poll() says so: TLS may hold messages back from it."""
        while self._end is None and self._stdout.pending < HIGH_WATER:
            message = self._link.receive()
            if message is None:
                return
            self._handle(message)

    def _handle(self, message: Message) -> None:
        if isinstance(message, Binary):
            self._stdout.put(message.data)
            if message.data:
                self._messages.shown(message.data)
        elif isinstance(message, Close):
            raise LinkLost(Loss.CLOSED, message.reason)
        elif isinstance(message, Text):
            control = parse(message.text)
            if isinstance(control, Exit):
                self._end = control
            elif isinstance(control, Started):
                self._started = True
            elif isinstance(control, Notice):
                self._messages.error(printable(control.text, 1024))
            elif isinstance(control, Error):
                self._agent_failed(control)

    def _agent_failed(self, error: Error) -> None:
        self._link.close("aborting")
        text = f"the agent says: {printable(error.error, 1024)}"
        raise OutcomeUnknown(text) if self._started else Failure(text)

    # To the link.

    def _send(self) -> None:
        self._link.flush()
        if self._resized and self._link.clear:
            self._resized = False
            self._link.send_control(Resize(*window_size()))
        if time.monotonic() >= self._again_at and not self._typed:
            self._end_input()
        while self._typed and self._link.clear:
            piece = bytes(self._typed[:_READ])
            del self._typed[:_READ]
            self._link.send_data(piece)

    def _read_input(self) -> None:
        try:
            data = os.read(self._terminal.fd, _READ)
        except OSError:
            data = b""  # EIO: the terminal is gone
        if data:
            for event in self._scanner.feed(data):
                self._typed_event(event)
        elif self._terminal.is_tty:
            self._disconnect("the terminal is gone")
        else:
            self._input_open = False
            self._type(self._scanner.finish())
            if self._last_typed != b"\n":
                self._type(END_OF_FILE)  # which only sends the unfinished line to a program that reads lines
            self._end_input()

    def _end_input(self) -> None:
        self._type(END_OF_FILE)
        self._again_at = time.monotonic() + self._again_after
        self._again_after = min(2 * self._again_after, self._again_longest)

    def _type(self, data: bytes) -> None:
        self._typed += data
        self._last_typed = data[-1:] or self._last_typed

    def _typed_event(self, event: escape.Event) -> None:
        if isinstance(event, bytes):
            self._type(event)
        elif event is escape.Action.DISCONNECT:
            self._disconnect("disconnected")
        elif event is escape.Action.SUSPEND:
            self._suspend_by_escape()
        elif event is escape.Action.HELP and self._character is not None:
            self._messages.answer(escape.help_text(self._character))
        elif event is escape.Action.INFO:
            self._messages.answer(self._info())

    def _disconnect(self, why: str) -> None:
        self._link.close("disconnected by the user")
        raise OutcomeUnknown(why)

    # To the user.

    def _write(self) -> None:
        try:
            self._stdout.pump()
        except OSError as error:
            self._link.close("output closed")
            raise OutcomeUnknown(f"cannot write to standard output ({error.strerror})") from error

    def _drain(self) -> None:
        """Writes all that is left, as slowly as the reader likes; a signal ends it."""
        self._write()
        while self._stdout.pending:
            poller = select.poll()
            poller.register(self._stdout, select.POLLOUT)
            poller.register(self._signals, select.POLLIN)
            poller.poll()
            self._take_signals()
            self._write()

    # Events.

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self._signals, select.POLLIN)
        events = self._link.events(reading=self._stdout.pending < HIGH_WATER)
        if events:  # else a link that was hung up would wake the loop for ever
            poller.register(self._link, events)
        if self._stdout.pending:
            poller.register(self._stdout, select.POLLOUT)
        if self._input_open and len(self._typed) < HIGH_WATER:
            poller.register(self._terminal.fd, select.POLLIN)
        patience = min(self._link.timeout(), self._walltime.patience(time.monotonic()))
        if not self._typed:
            patience = min(patience, max(0.0, self._again_at - time.monotonic()))
        ready = dict(poller.poll(patience * 1000))
        if self._signals.fileno() in ready:
            self._take_signals()
        if self._terminal.fd in ready:
            self._read_input()

    def _take_signals(self) -> None:
        for signum in self._signals.take_or_raise():
            if signum == signal.SIGWINCH:
                self._resized = True
            elif signum == signal.SIGTSTP:
                self._suspend(whole_job=False)
            elif signum == signal.SIGCONT:
                self._resume()

    def _suspend_by_escape(self) -> None:
        if self._signals.job_control:
            self._suspend(whole_job=True)
        else:
            self._messages.answer(["not suspended: there is no job control to come back by"])

    def _suspend(self, *, whole_job: bool) -> None:
        self._messages.say(SUSPEND_ADVICE)
        self._messages.raw = False
        self._terminal.suspend(self._signals, whole_job=whole_job)
        self._resume()

    def _resume(self) -> None:
        self._terminal.make_raw_again()
        self._messages.raw = self._terminal.raw
        self._resized = True
        self._link.reset_keepalive()
