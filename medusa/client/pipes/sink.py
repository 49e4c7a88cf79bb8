"""Writes one output of a command on pipes to a descriptor, without blocking.

A channel has two outputs: standard output and standard error. Each of them is a sub (a part) of the channel.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
from collections.abc import Callable, Sequence

from medusa.client.pipes.descriptors import enlarge, release
from medusa.client.terminal.signals import unstopped
from medusa.client.terminal.stdout import reopen
from medusa.protocol.channels.subs import Reader
from medusa.protocol.resume.byte_queue import Buffer

_PIECES = 512
"""The maximum number of pieces in one write. POSIX allows 1024 on the systems that matter here."""

_BLOCKING_SIZE = 512
"""The maximum size in bytes of one write to a descriptor that may block.

If poll reports that a pipe can be written, at least this number of bytes fits.
"""


class Writable:
    """Writes to a file, a pipe, a socket or a terminal without blocking.

    Other programs may share the flags of the descriptor `fd`. So O_NONBLOCK is not set on it.

    Attributes:
        is_tty: True if `fd` is a terminal.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        mode = os.fstat(fd).st_mode
        self._own = reopen(fd, os.O_WRONLY)
        self._socket = socket.socket(fileno=os.dup(fd)) if stat.S_ISSOCK(mode) else None
        self._may_block = self._own is None and not stat.S_ISREG(mode)
        self.is_tty = os.isatty(fd)

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._fd if self._own is None else self._own

    def write(self, pieces: Sequence[Buffer]) -> int:
        """Writes as much of `pieces` as fits now. Returns the number of bytes written; 0 if none fit now.

        Raises:
            OSError: the descriptor cannot be written. BrokenPipeError: nobody reads it any more.
        """
        try:
            if self._socket is not None:
                return self._socket.sendmsg(pieces[:_PIECES], (), socket.MSG_DONTWAIT)
            if self._may_block:
                return os.write(self._fd, memoryview(pieces[0])[:_BLOCKING_SIZE]) if self._takes_some() else 0
            with unstopped() if self.is_tty else contextlib.nullcontext():
                return os.writev(self.fileno(), pieces[:_PIECES])
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Closes the descriptors that this object has opened. `fd` itself stays open."""
        if self._own is not None:
            os.close(self._own)
            self._own = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _takes_some(self) -> bool:
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        return bool(poller.poll(0))


class Sink:
    """Writes one output of a channel (standard output or standard error) to a descriptor.

    This object holds no bytes: what the descriptor does not accept stays in the channel's Reader.

    Args:
        fd: the descriptor.
        shown: a function that is called after each write to a terminal, with the last byte that was written.
        lasts: True if the descriptor is used for other things too, so that it stays open after the end of the output.
    """

    def __init__(self, fd: int, shown: Callable[[bytes], None], *, lasts: bool) -> None:
        self._fd, self._shown, self._lasts = fd, shown, lasts
        self._target = Writable(fd)
        self._released = self._enlarged = False
        self._reader: Reader | None = None

    def attach(self, reader: Reader) -> None:
        """Starts to write the bytes that `reader` receives. Call it after the channel was opened.

        Raises:
            StreamError: too much waits to be sent to the agent (`overflow`).
        """
        self._reader = reader
        if self._released:
            reader.stop()

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._target.fileno()

    @property
    def pending(self) -> int:
        """The number of bytes that have arrived and were not written yet."""
        return 0 if self._reader is None else len(self._reader)

    @property
    def lost(self) -> bool:
        """True if bytes have arrived that were not written, because nobody reads the descriptor any more."""
        return self._reader is not None and self._reader.stopped and self._reader.received > self._reader.taken

    def events(self) -> int:
        """Returns the events to poll for, as a mask of select.POLLOUT."""
        return select.POLLOUT if self.pending else 0

    def pump(self, now: float) -> None:
        """Writes what has arrived, as much as fits now. After the last byte, closes the descriptor if `lasts` is False.

        Raises:
            OSError: the descriptor cannot be written. BrokenPipeError: nobody reads it any more.
        """
        reader = self._reader
        if reader is None:
            return
        while len(reader):
            pieces = reader.pieces()
            written = self._target.write(pieces)
            if not written:
                return
            if self._target.is_tty:
                self._shown(b"".join(pieces)[written - 1 : written])
            reader.took(written, now)
            if len(reader) and not self._enlarged:  # the pipe is full
                self._enlarged = True
                enlarge(self.fileno())
        if reader.over and not self._lasts:
            self._release()

    def stop(self) -> None:
        """Tells the agent that nobody reads this output any more. Closes the descriptor if `lasts` is False.

        Raises:
            StreamError: too much waits to be sent to the agent (`overflow`).
        """
        self._release()
        if self._reader is not None:
            self._reader.stop()

    def close(self) -> None:
        """Closes the descriptors that this object has opened. Call it once, at the end."""
        self._target.close()

    def _release(self) -> None:
        """Closes the descriptor, so that the program that reads it finds the end. Its number then refers to /dev/null.

        Does not touch a descriptor that has to stay open (`lasts`).
        """
        if not self._released:
            self._released = True
            self._target.close()
            if not self._lasts:
                release(self._fd)
