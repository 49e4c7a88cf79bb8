"""A terminal of the agent: a command, its last output, and the viewers (clients) that show it.

The terminal may outlive all its viewers.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from agent.poller import READ, WRITE, earliest
from agent.process.commands import Commands, describe_exit
from agent.process.context import Context
from agent.process.drain import Drain
from agent.process.terminal_child import READ_SIZE, TerminalChild
from agent.terminals.interfaces import Leave, Watching
from agent.terminals.ring import MIN_KEPT, Ring
from medusa.protocol.channels.frames import Reason
from medusa.protocol.control import Resize
from medusa.protocol.resume.budget import Budget

_STOLEN = Reason("stolen", "another client has taken the terminal over")
_ENDED = Reason("ended", "the client that had the terminal has ended it")


class Terminal:
    """A command on a terminal, its last output, and its viewers (the clients that show the terminal).

    The command's output is read only as fast as the viewer that typed last takes it. The other viewers read what they
    can from the ring, and skip the rest.

    Args:
        number: names the terminal, from 1 on.
        fields: the fields of the OPEN frame by which the client has asked for the terminal.
        child: the command. The caller has added it to `commands`.
        size: the size that the terminal has.

    Attributes:
        memory: the memory that all streams and terminals of the agent share.
        ring: the last output.
        mark: the value of the variable MARK of its programs; None if they have none. The terminal shows itself to none
            of them.
        name: the name that the client has given to the terminal; "" for none.
        command: the command as the client has asked for it; None for a shell.
        viewers: the viewers, in the order in which they came.
        typist: the viewer that typed last; None if no viewer may type.
        size: the terminal's size. The method `redraw` changes the real size for a moment, and not this attribute.
        ended: True if the command has ended and its output is complete.
        told: True if a client that may type was told how the command has ended.
        detached: True if the last viewer that may type has detached: it has left the terminal running for a later
            client.
        keep: for how many seconds the terminal is kept after the command's end, if no client was told how it has ended.
        over: True if the terminal is not needed any more.
        expires_at: the time until which the command's result is kept for other clients; None if no time is set.
        gather_until: see TerminalChild.read.
    """

    def __init__(
        self,
        number: int,
        fields: Mapping[str, Any],
        child: TerminalChild,
        size: Resize,
        memory: Budget,
        commands: Commands,
        context: Context,
    ) -> None:
        self.number, self.name, self.command = number, fields["name"], fields["command"]
        self.child, self.size, self.memory, self.ring = child, size, memory, Ring(memory)
        self._commands, self._context = commands, context
        self.viewers: List[Watching] = []
        self.typist: Optional[Watching] = None
        self.ended = self.told = self.detached = self.over = False
        self.keep = 0.0
        self.mark: Optional[str] = None
        self._was_detached = False
        self._drain: Optional[Drain] = None
        self._clogged = False
        self._redraw_until: Optional[float] = None
        self.expires_at: Optional[float] = None
        self.gather_until = 0.0

    @property
    def kept(self) -> bool:
        """True if the terminal has no viewer, and is kept for a client that comes later. Its command may have ended."""
        return not self.over and not self.viewers

    # ------------------------------------------------------------------ poll

    def wanted(self, now: float) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        child, mask = self.child, 0
        if self.ended or child.fd < 0:
            return {}
        if child.is_open and not self._spent and self._room(now):
            mask = READ
        if self._has_input:
            mask |= WRITE
        return {child.fd: mask}

    def deadline(self, now: float) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        due = [self._redraw_until, self.expires_at]
        if not self.ended:
            due.append(self.child.deadline())
            if self._has_input:  # some terminals do not report that they accept input
                due.append(now + self._context.timeouts.input_interval)
            if self._drain is not None and not self._clogged:
                due.append(self._drain.deadline())
            if self.typist is not None and self.typist.parted_at is not None and self._waits(now):
                due.append(self.typist.parted_at + self._context.timeouts.parted_timeout)
        return earliest(due)

    @property
    def _has_input(self) -> bool:
        return any(viewer.has_input for viewer in self.viewers)

    # ------------------------------------------------------------------ bytes

    def serve(self, now: float, events: Optional[Mapping[int, int]]) -> None:
        """Moves input to the command and output to the ring, and ends the terminal if the command has ended.

        Args:
            now: the time, in monotonic seconds.
            events: what poll reported, as a mask for each descriptor; None to read output even without an event.
        """
        if self._redraw_until is not None and now >= self._redraw_until:
            self._set_size(self.size)
        if self.expires_at is not None and now >= self.expires_at:
            self._finish()
        if self.ended or self.over:
            return
        for viewer in list(self.viewers):
            viewer.feed(now)
        ending = self.child.exit is not None
        size = self._read(now) if ending or events is None or events.get(self.child.fd) else 0
        if ending:
            self._drain_output(now, size)

    def _waits(self, now: float) -> bool:
        """True if output is read only as fast as the viewer that typed last takes it."""
        viewer = self.typist
        if viewer is None:
            return False
        return viewer.parted_at is None or now < viewer.parted_at + self._context.timeouts.parted_timeout

    def _room(self, now: float) -> int:
        """Returns how many bytes of output to read now."""
        most = min(READ_SIZE, max(MIN_KEPT, self.memory.free))
        return most if self.typist is None or not self._waits(now) else min(self.typist.room, most)

    @property
    def _spent(self) -> bool:
        return self._drain is not None and self._drain.spent

    def _read(self, now: float) -> int:
        """Reads output once. Returns the number of bytes that were read."""
        if self._spent or self.child.fd < 0:
            return 0
        room = self._room(now)
        self._clogged = not room
        try:
            data = self.child.read(room, self.gather_until) if room else None
        except EOFError:
            if self._drain is not None:
                self._drain.end_of_file()
            else:
                self.child.retry_later()  # the command may open it again
            return 0
        if data is None:
            return 0
        self.ring.append(data)
        return len(data)

    def _drain_output(self, now: float, size: int) -> None:
        """Notes that `size` bytes were read after the command's end. If no more will come, ends the terminal."""
        if self._drain is None:
            self._drain = Drain(now, self._clogged, self._context.timeouts)
            self.child.retry_now()
        if self.child.fd < 0:
            self._drain.end_of_file()
        if size:
            self._drain.received(size, now)
        if self._clogged:
            self._drain.not_read(now)
        if not self._drain.over(now, self._clogged):
            return
        assert self.child.exit is not None
        self._context.log("ended: %s" % describe_exit(self.child.exit))
        self.ended = True
        self._commands.end(self.child)
        if not self.viewers:
            self.expires_at = now + self.keep

    # ------------------------------------------------------------------ viewers

    def add(self, viewer: Watching, *, steal: bool = False, redraw: bool = False) -> None:
        """Adds a viewer.

        A viewer that may type becomes `typist` if there is none, or if the present one has lost its link. The terminal
        then gets the size of this viewer.

        Args:
            steal: True to remove all other viewers first.
            redraw: True to make the programs on the terminal draw their screen.
        """
        size = self.size
        for other in list(self.viewers) if steal else ():
            self._take_over(other)
        self.viewers.append(viewer)
        self.expires_at = None
        if not viewer.read_only:
            self.detached = False
            if self.typist is None or self.typist.parted_at is not None:
                self.typed(viewer)
        if redraw and size == self.size:
            self.redraw(self._context.clock())

    def make_room(self, most: int) -> bool:
        """Makes room for one more viewer. Returns True if there are fewer than `most` viewers afterwards.

        If there are too many viewers, removes one that has no link. If all have links, removes none.
        """
        parted = [(viewer.parted_at, viewer) for viewer in self.viewers if viewer.parted_at is not None]
        if len(self.viewers) >= most and parted:
            self._take_over(min(parted, key=lambda pair: pair[0])[1])
        return len(self.viewers) < most

    def _take_over(self, viewer: Watching) -> None:
        viewer.close(_STOLEN)
        self._remove(viewer)

    def typed(self, viewer: Watching) -> None:
        """Notes that the user of `viewer` has typed.

        From now on, the terminal has the size of this viewer, and output is read only as fast as this viewer takes it.
        """
        if self.typist is not viewer:
            self.typist = viewer
            viewer.catch_up()
            self.resize(viewer)

    def resize(self, viewer: Watching) -> None:
        """Gives the terminal the size of `viewer`, if this viewer typed last."""
        if viewer is self.typist and viewer.size is not None and viewer.size != self.size:
            self.size = viewer.size
            self._set_size(self.size)

    def redraw(self, now: float) -> None:
        """Changes the terminal's size for a moment, so that programs draw their screen."""
        if self._redraw_until is None and not self.ended:
            lines = self.size.lines
            self.child.resize(Resize(self.size.columns, lines - 1 if lines > 1 else lines + 1))
            self._redraw_until = now + self._context.timeouts.redraw_grace

    def _set_size(self, size: Resize) -> None:
        self._redraw_until = None
        if not self.ended:
            self.child.resize(size)

    def leave(self, viewer: Watching, why: Leave, now: float) -> None:
        """Removes a viewer. If no viewer that may type is left, begins to end the command.

        Lets the command run if the terminal was detached (left running for a later client).

        Args:
            why: the reason why the viewer leaves.
            now: the time, in monotonic seconds.
        """
        if viewer not in self.viewers:
            return
        self._remove(viewer)
        self.keep = viewer.keep
        if not viewer.read_only:
            self.told = self.told or why is Leave.TOLD
            self._was_detached = self._was_detached or why is Leave.DETACHED
            self.detached = why is Leave.DETACHED or (why is Leave.LOST and self._was_detached)
        if self.ended:
            self.expires_at = None if self.viewers else now + (0.0 if self.told else self.keep)
        elif not self.detached and all(other.read_only for other in self.viewers):
            self._finish()

    def _remove(self, viewer: Watching) -> None:
        self.viewers.remove(viewer)
        if self.typist is viewer:
            self.typist = None
            others = [other for other in self.viewers if not other.read_only]
            if others:
                self.typed(others[-1])

    def hang_up(self, viewer: Watching) -> None:
        """Hangs up the terminal if `viewer` is the only one. Call it if this viewer takes no more output."""
        if self.viewers == [viewer]:
            self.child.close()

    def _finish(self) -> None:
        self.over = True
        for viewer in self.viewers:
            viewer.close(_ENDED)
        self.viewers.clear()
        self.ring.clear()
        self._commands.end(self.child)
