"""Undoes what a session's output has switched on in the user's terminal emulator, if the session ends abnormally.

A program that is killed cannot leave the alternate screen, show the cursor again or switch off mouse reporting. So
mlogin does that. The class Emulator reads the session's output and remembers what the output has switched on. Only
these features are switched off: a terminal may misread a sequence for a feature that it does not know.
"""

from __future__ import annotations

import contextlib
import os
import select

from medusa.client.cleanup.note import Note
from medusa.protocol.terminal.tracker import State, Tracker

WRITE_TIMEOUT = 1.0
"""Seconds that `write_undo` waits until the terminal accepts bytes.

It has to wait because another program may be writing: meanwhile poll reports that the terminal accepts no bytes.
"""


class Emulator:
    """Remembers what the session's output has switched on in the user's terminal emulator.

    Args:
        note: memory that is shared with the guard process; None if there is no guard process. This object always keeps
            in it the bytes that undo the changes. If this process is killed, the guard process writes them to the
            terminal.
    """

    def __init__(self, note: Note | None = None) -> None:
        self._note = note
        self._noted = b""
        self._tracker = Tracker()
        self.ignores, self.undo = self._tracker.ignores, self._tracker.undo

    @property
    def state(self) -> State:
        """A copy of what is known about the terminal emulator. It can also be set.

        Read it before a call of `feed`. If the bytes then cannot be written to the terminal, set it to the copy.
        """
        return self._tracker.state

    @state.setter
    def state(self, state: State) -> None:
        self._tracker.state = state
        self._write_note()

    def feed(self, data: bytes) -> None:
        """Reads bytes of the session's output, and remembers what they change in the terminal emulator.

        The output may be divided among the calls in any way.
        """
        self._tracker.feed(data)
        self._write_note()

    def undone(self) -> None:
        """Forgets all changes. Call this after the bytes of `undo` were written, or if they must not be written."""
        self.state = State()

    def _write_note(self) -> None:
        if self._note is not None and (undo := self.undo()) != self._noted:
            self._noted = undo
            self._note.write(undo)


def write_undo(fd: int, note: Note) -> None:
    """Writes the text of `note` to the terminal `fd`. Gives up if the terminal takes no bytes within WRITE_TIMEOUT.

    The guard process calls this after mlogin was killed.
    """
    undo = note.read()
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    with contextlib.suppress(OSError):
        if undo and os.isatty(fd) and poller.poll(WRITE_TIMEOUT * 1000):
            os.write(fd, undo)
