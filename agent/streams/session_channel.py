"""Joins a channel of the kind `session` and a command, on a terminal or on pipes."""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

from agent.poller import READ, WRITE
from agent.process.commands import Commands, describe_exit
from agent.process.context import Context
from agent.process.drain import Drain
from agent.process.pipe_child import READ_SIZE, STDIN, PipeChild
from agent.process.terminal_child import TerminalChild
from agent.streams.terminal_ends import TerminalEnds
from medusa.protocol.channels.channel import Channel
from medusa.protocol.channels.frames import CLOSE, REQUEST, STOP
from medusa.protocol.control import Resize
from medusa.signal_pipe import signal_number

Child = Union[TerminalChild, PipeChild]


class SessionChannel:
    """A channel that was accepted, and its command.

    Input waits in the channel. The channel's window limits how much can wait. Output of the command is read only if the
    channel has room for it.

    Args:
        child: the command, which is among `commands`.
        ends: the agent's ends of the command's terminal or of its pipes.

    Attributes:
        child: the command.
        over: True if the channel has nothing more to do. What is left of the command is being ended.
    """

    def __init__(
        self, channel: Channel, child: Child, ends: Union[TerminalEnds, PipeChild], commands: Commands, context: Context
    ) -> None:
        self._channel, self.child, self._ends = channel, child, ends
        self._commands, self._context = commands, context
        self._input = channel.readers[STDIN]
        self._drain: Optional[Drain] = None
        self._clogged = False
        self._moved = 0  # the bytes of output that were read
        self._turns = list(channel.writers)  # the sub that was read last comes last
        self.over = False

    @property
    def has_terminal(self) -> bool:
        """True if the command has a terminal."""
        return isinstance(self.child, TerminalChild)

    # ------------------------------------------------------------------ poll

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        fds = self._ends.fds
        prefaced = isinstance(self._ends, TerminalEnds) and self._ends.preface
        wanted = {fds[STDIN]: WRITE} if len(self._input) or prefaced else {}
        for sub in self._channel.writers:
            if self._reads(sub) and self._room(sub):
                wanted[fds[sub]] = wanted.get(fds[sub], 0) | READ
        wanted.pop(-1, None)
        return wanted

    def deadline(self) -> Optional[float]:
        """Returns when to call `serve` even if poll reports no event; None for never."""
        due = []
        if isinstance(self.child, TerminalChild):
            reopen = self.child.deadline()
            due += [] if reopen is None else [reopen]
            if len(self._input):  # some terminals do not report that they accept input again
                due.append(self._context.clock() + self._context.timeouts.input_interval)
        if self._drain is not None and not self._clogged:
            due.append(self._drain.deadline())
        return min(due, default=None)

    # ------------------------------------------------------------------ bytes

    def serve(self, now: float, events: Dict[int, int]) -> Dict[int, int]:
        """Moves bytes in both directions, and ends the channel if all is done.

        Returns events, by descriptor, for the descriptors that may have more output: output was read from them.

        Args:
            events: what poll reported, by descriptor. Output of a descriptor without an event is not read, unless the
                command has ended.

        Raises:
            StreamError: too much waits to be sent, because the peer does not take it.
        """
        if self.over:
            return {}
        self._feed(now)
        before = self._moved
        again = self._relay(events if self.child.exit is None else None)
        if self.child.exit is not None:
            self._finish(now, self._moved - before)
        return again

    def _feed(self, now: float) -> None:
        reader, size = self._input, 0
        if self._ends.fds[STDIN] < 0:
            return
        for piece in reader.pieces() if len(reader) else ():
            taken = self._ends.write(piece)
            if taken is None:
                self._refuse_input()
                return
            size += taken
            if taken < len(piece):
                break
        if size:
            reader.took(size, now)
        if reader.complete and not len(reader):
            self._ends.close(STDIN)

    def _refuse_input(self) -> None:
        """Tells the client that nothing reads its input any more."""
        self._ends.close(STDIN)
        self._input.stop()

    def _reads(self, sub: int) -> bool:
        spent = self._drain is not None and self._drain.spent
        return not self._channel.writers[sub].ended and self._ends.fds[sub] >= 0 and not spent

    def _relay(self, events: Optional[Dict[int, int]]) -> Dict[int, int]:
        again, self._clogged = {}, False
        for sub in list(self._turns):
            if self._reads(sub) and (events is None or events.get(self._ends.fds[sub])):
                room = self._room(sub)
                self._clogged = self._clogged or not room
                size = self._read(sub, min(room, READ_SIZE)) if room else 0
                if size:
                    self._turns.remove(sub)
                    self._turns.append(sub)
                    again[self._ends.fds[sub]] = READ
                self._moved += size
        return again

    def _room(self, sub: int) -> int:
        """Returns how many bytes of output to read now; 0 while earlier bytes wait to be sent.

        Without this wait, output would be read and sent in small pieces.
        """
        return 0 if self._channel.waiting else self._channel.room(sub)

    def _read(self, sub: int, size: int) -> int:
        try:
            data = self._ends.read(sub, size)
        except EOFError:
            self._channel.end(sub)
            self._ends.close(sub)
            return 0
        if data is None:
            return 0
        self._channel.write(sub, data)
        return len(data)

    # ------------------------------------------------------------------ end

    def _finish(self, now: float, moved: int) -> None:
        """Reads the last output of a command that has ended. After all of it, sends how the command ended."""
        if self._drain is None:
            pipes = not isinstance(self.child, TerminalChild)
            self._drain = Drain(now, self._clogged, self._context.timeouts, pipes=pipes)
            self._refuse_input()
            if isinstance(self.child, TerminalChild):
                self.child.retry_now()
        if moved:
            self._drain.received(moved, now)
        if self._clogged:
            self._drain.not_read(now)
        if all(writer.ended for writer in self._channel.writers.values()):
            self._drain.end_of_file()
        if self._drain.over(now, self._clogged):
            self._report()

    def _report(self) -> None:
        end = self.child.exit
        assert end is not None
        self._context.log("ended: %s" % describe_exit(end))
        self._channel.result(**({"signal": end.signal} if end.signal else {"status": end.status}))
        self._channel.close()
        self.end()

    def end(self) -> None:
        """Closes the terminal or the pipes, and begins to end the command's processes."""
        if not self.over:
            self.over = True
            self._commands.end(self.child)

    # ------------------------------------------------------------------ what arrives

    def happened(self, kind: int, sub: int, value: Any) -> None:
        """Acts on an event of the channel. DATA and EOF need no action: the next `serve` finds them."""
        if kind == CLOSE:
            self.end()
        elif kind == STOP:
            self._ends.close(sub)
        elif kind == REQUEST:
            self._request(value)

    def _request(self, fields: Dict[str, Any]) -> None:
        if fields["type"] == "resize" and isinstance(self.child, TerminalChild):
            self.child.resize(Resize(fields["columns"], fields["lines"]))
        elif fields["type"] == "signal":
            number = signal_number(fields["name"])
            if number is not None:
                self.child.signal(number)
