"""Connects a channel of the kind `session` or `sftp` with a command on pipes."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from agent.poller import READ, WRITE
from agent.process.commands import Commands, describe_exit
from agent.process.context import Context
from agent.process.drain import Drain
from agent.process.pipe_child import STDERR, STDIN, STDOUT, PipeChild
from agent.terminals.description import result_of
from agent.terminals.interfaces import Leave
from medusa.protocol.channels.channel import NO_REASON, Channel
from medusa.protocol.channels.frames import CLOSE, REQUEST, STOP, Reason
from medusa.protocol.channels.kinds import KINDS
from medusa.protocol.control import Exit
from medusa.signal_pipe import signal_number


class SessionChannel:
    """Connects a channel with a command on pipes: passes input, output and the exit status.

    Input waits in the channel. The channel's window limits how much can wait. Output of the command is read only if the
    channel has room for it.

    Args:
        channel: the channel. The caller accepts it after it has made this object.
        child: the command. The caller has added it to `commands`.
        outputs: the pipes that are read: the number of the sub -> the number of the pipe, 1 for stdout, 2 for stderr.

    Attributes:
        over: True if the channel has nothing more to do. What is left of the command is being ended.
    """

    def __init__(
        self,
        channel: Channel,
        child: PipeChild,
        commands: Commands,
        context: Context,
        outputs: Mapping[int, int] = {STDOUT: STDOUT, STDERR: STDERR},
    ) -> None:
        self._outputs = outputs
        self._channel, self._child, self._commands, self._context = channel, child, commands, context
        self._input = channel.readers[STDIN]
        self._drain: Optional[Drain] = None
        self._clogged = False
        self._moved = 0  # bytes of output read so far: a difference tells what one round has read
        self._turns = list(channel.writers)  # the sub that was read last comes last, so that all get their turns
        self.over = False

    @property
    def needed(self) -> bool:
        """Always True: the client's stream must be kept, because no other client can be told how the command ends."""
        return True

    @property
    def children(self) -> List[PipeChild]:
        """A list with the command, which has to end when the channel ends."""
        return [self._child]

    @property
    def opened(self) -> Dict[str, Any]:
        """The fields of the answer by which the client is told that its channel is accepted."""
        return {"pid": self._child.pid}

    # ------------------------------------------------------------------ poll

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        fds = self._child.fds
        wanted = {fds[STDIN]: WRITE} if len(self._input) else {}
        for sub in self._channel.writers:
            if self._reads(sub) and self._channel.free(sub):
                wanted[self._fd(sub)] = READ
        wanted.pop(-1, None)
        return wanted

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        waits = self._drain is None or self._clogged or self._child.background
        return None if waits or self._drain is None else self._drain.deadline()

    # ------------------------------------------------------------------ bytes

    def serve(self, now: float, events: Dict[int, int]) -> Dict[int, int]:
        """Moves bytes in both directions, and ends the channel if all is done.

        Returns a READ event for each open descriptor from which output was read, because it may have more.

        Args:
            now: the time, in monotonic seconds.
            events: what poll reported, as a mask for each descriptor. While the command runs, output is read only from
                descriptors with an event. After its end, output is read from all descriptors.

        Raises:
            StreamError: too much waits to be sent, because the peer does not take it.
        """
        if self.over:
            return {}
        self._feed(now)
        before = self._moved
        again = self._relay(events if self._child.exit is None else None)
        if self._child.exit is not None:
            self._finish(now, self._moved - before)
        return again

    def _feed(self, now: float) -> None:
        reader, size = self._input, 0
        if self._child.fds[STDIN] < 0:
            return
        for piece in reader.pieces() if len(reader) else ():
            taken = self._child.write(piece)
            if taken is None:
                self._refuse_input()
                return
            size += taken
            if taken < len(piece):
                break
        if size:
            reader.took(size, now)
        if reader.complete and not len(reader):
            self._child.close(STDIN)

    def _refuse_input(self) -> None:
        """Tells the client that nothing reads its input any more."""
        self._child.close(STDIN)
        self._input.stop()

    def _reads(self, sub: int) -> bool:
        spent = self._drain is not None and self._drain.spent
        return not self._channel.writers[sub].ended and self._fd(sub) >= 0 and not spent

    def _fd(self, sub: int) -> int:
        return self._child.fds[self._outputs[sub]]

    def _relay(self, events: Optional[Dict[int, int]]) -> Dict[int, int]:
        again, self._clogged = {}, False
        for sub in list(self._turns):
            if self._reads(sub) and (events is None or events.get(self._fd(sub))):
                room = self._channel.free(sub)
                self._clogged = self._clogged or not room
                size = self._read(sub) if room else 0
                if size:
                    self._turns.remove(sub)
                    self._turns.append(sub)
                    if self._fd(sub) >= 0:
                        again[self._fd(sub)] = READ
                self._moved += size
        return again

    def _read(self, sub: int) -> int:
        """Passes on the output that is there now. Returns the number of bytes."""
        child, channel, number, moved = self._child, self._channel, self._outputs[sub], 0
        for piece in child.read(number, lambda: channel.room(sub)):
            channel.write(sub, piece)
            moved += len(piece)
        if child.readers[number].ended:
            channel.end(sub)
            child.close(number)
        return moved

    # ------------------------------------------------------------------ end

    def _finish(self, now: float, moved: int) -> None:
        """Reads the last output of a command that has ended. After all of it was read, sends how the command ended.

        If the command may leave processes behind, all of it comes only after the last of them has closed the pipes. The
        client may close the channel before that.

        Args:
            now: the time, in monotonic seconds.
            moved: the number of bytes of output that were just read.
        """
        if self._drain is None:
            to_the_end, timeouts = self._child.background, self._context.timeouts
            self._drain = Drain(now, self._clogged, timeouts, pipes=True, to_the_end=to_the_end)
            self._refuse_input()
        if moved:
            self._drain.received(moved, now)
        if self._clogged:
            self._drain.not_read(now)
        if all(writer.ended for writer in self._channel.writers.values()):
            self._drain.end_of_file()
        if self._drain.over(now, self._clogged):
            self._report()

    def _report(self) -> None:
        end = self._child.exit
        assert end is not None
        self._context.log("ended: %s" % describe_exit(end))
        self._tell(end)
        self.end()

    def _tell(self, end: Exit) -> None:
        """Tells the client how the command has ended: by RESULT, or, if the channel has none, by CLOSE."""
        reason = NO_REASON
        if KINDS[self._channel.kind].result:
            self._channel.result(**result_of(end))
        elif end.status != 0:
            reason = Reason("ended", "the SFTP server has ended: %s" % describe_exit(end))
        for sub in self._outputs:
            self._channel.end(sub)
        self._channel.close(reason)

    def end(self, why: Leave = Leave.CLOSED) -> None:
        """Closes the pipes, and begins to end the command's processes. Ignores `why`."""
        if not self.over:
            self.over = True
            self._commands.end(self._child)

    # ------------------------------------------------------------------ what arrives

    def happened(self, kind: int, sub: int, value: Any) -> None:
        """Acts on an event of the channel. Ignores DATA and EOF: the next `serve` finds them.

        Args:
            kind: the type of the frame that has arrived, such as CLOSE.
            sub: the number of the pipe: 0 for stdin, 1 for stdout, 2 for stderr.
            value: if the frame is a REQUEST, its fields.
        """
        if kind == CLOSE:
            self.end()
        elif kind == STOP:
            self._child.close(self._outputs[sub])
        elif kind == REQUEST:
            self._request(value)

    def _request(self, fields: Dict[str, Any]) -> None:
        number = signal_number(fields["name"]) if fields["type"] == "signal" else None
        if number is not None:
            self._child.signal(number)
