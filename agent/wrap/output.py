"""A step's output on its way to our own: every byte, in order, with nothing that grows in between.

Our own stdout and stderr are others' as well, so they are not made non-blocking: no more is written than poll(2)
promises room for. One who reads slowly slows the step.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
import termios
from typing import Dict, List, Optional

from agent.poller import READ, WRITE, Poller
from agent.wrap.tail import Tail
from medusa.guard import close_others

READ_SIZE = 64 * 1024
SLICE = getattr(select, "PIPE_BUF", 512)
"""What a pipe that is writable takes at once."""


class Stream:
    """One pipe and where its bytes go.

    Args:
        source: a pipe's reading end, which this owns.
        sink: somebody else's descriptor.
    """

    def __init__(self, source: int, sink: int, tail: Optional[Tail]) -> None:
        self.source, self.sink, self._tail = source, sink, tail
        self._pending = b""
        self._left: Optional[int] = None
        os.set_blocking(source, False)

    def wanted(self) -> Dict[int, int]:
        """What to poll for."""
        if self._pending:
            return {self.sink: WRITE}
        return {} if self.source < 0 or self.passed else {self.source: READ}

    def step(self, events: Dict[int, int]) -> None:
        """Do what poll found possible."""
        if self._pending:
            if events.get(self.sink):
                self._write()
        elif self.source >= 0 and events.get(self.source):
            self._read()

    def ended(self) -> None:
        """The writer has ended: what the pipe holds now is the last of it; what comes behind it is another's."""
        if self.source >= 0:
            answer = fcntl.ioctl(self.source, termios.FIONREAD, bytes(4))
            (self._left,) = struct.unpack("i", answer)

    @property
    def passed(self) -> bool:
        """Whether all that the writer wrote before its end is on."""
        return not self._pending and (self.source < 0 or self._left == 0)

    def held(self) -> bool:
        """Whether there is more to come: somebody still holds the pipe open, or what was read has not gone on."""
        self._left = None
        if self.source >= 0 and not self._pending:
            self._read()
        return bool(self.wanted())

    def close(self) -> None:
        """Whoever still writes gets EPIPE."""
        self._pending = b""
        if self.source >= 0:
            os.close(self.source)
            self.source = -1

    def _read(self) -> None:
        try:
            data = os.read(self.source, READ_SIZE if self._left is None else min(READ_SIZE, self._left))
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        if self._left is not None:
            self._left -= len(data)
        if self._tail is not None:
            self._tail.add(data)
        self._pending = data

    def _write(self) -> None:
        try:
            self._pending = self._pending[os.write(self.sink, self._pending[:SLICE]) :]
        except BlockingIOError:
            pass  # somebody else has made it non-blocking, and taken the room
        except OSError as error:
            self._pending = b""  # a full disk, perhaps: lost, as it would be without us
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                self.close()  # its reader is gone: the step is to notice


def wanted(streams: List[Stream]) -> Dict[int, int]:
    """What to poll for, for all of them."""
    return {fd: mask for stream in streams for fd, mask in stream.wanted().items()}


def hand_over(streams: List[Stream]) -> None:
    """Leave what background processes will write to a process of its own, which ends with the last of them."""
    held = [stream for stream in streams if stream.held()]
    if held and os.fork() == 0:
        try:
            _carry_on(held)
        finally:
            os._exit(0)
    for stream in held:
        stream.close()


def _carry_on(streams: List[Stream]) -> None:
    signal.set_wakeup_fd(-1)
    # It ends with the last writer, and must not end before: some of them ignore what ends others.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            continue  # the C library keeps some for itself
    kept = {fd for stream in streams for fd in (stream.source, stream.sink)}
    close_others(kept)
    for fd in {0, 1, 2} - kept:
        os.close(fd)
    poller = Poller()
    while wanted(streams):
        poller.watch(wanted(streams))
        events = poller.wait(None)
        for stream in streams:
            stream.step(events)
