"""Passing a step's output on to the agent's own: every byte, in order, with no buffer that grows.

Other programs have the agent's stdout and stderr open as well, so they are not made non-blocking: no more is written at
once than poll(2) promises room for. A reader that is slow slows the step.
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
"""Bytes that a pipe takes at once if poll(2) reports it as writable."""


class Stream:
    """One pipe and where its bytes go.

    Args:
        source: a pipe's reading end, which this owns.
        sink: a descriptor, which this does not own.
        tail: is given a copy of all bytes.
    """

    def __init__(self, source: int, sink: int, tail: Optional[Tail]) -> None:
        self.source, self.sink, self._tail = source, sink, tail
        self._pending = b""
        self._left: Optional[int] = None
        os.set_blocking(source, False)

    def wanted(self) -> Dict[int, int]:
        """What to poll for, by descriptor."""
        if self._pending:
            return {self.sink: WRITE}
        return {} if self.source < 0 or self.passed else {self.source: READ}

    def step(self, events: Dict[int, int]) -> None:
        """Read or write, if poll has reported that as possible."""
        if self._pending:
            if events.get(self.sink):
                self._write()
        elif self.source >= 0 and events.get(self.source):
            self._read()

    def limit_to_present(self) -> None:
        """The step has ended: pass on what the pipe holds now and no more, as what follows is another process's."""
        if self.source >= 0:
            answer = fcntl.ioctl(self.source, termios.FIONREAD, bytes(4))
            (self._left,) = struct.unpack("i", answer)

    @property
    def passed(self) -> bool:
        """Whether all that the step wrote before its end is passed on."""
        return not self._pending and (self.source < 0 or self._left == 0)

    def has_writer(self) -> bool:
        """Whether more may come, as another process has the pipe open or what was read is not yet passed on."""
        self._left = None
        if self.source >= 0 and not self._pending:
            self._read()
        return bool(self.wanted())

    def close(self) -> None:
        """Stop. A process that still writes gets EPIPE."""
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
            pass  # another program has made it non-blocking, and taken the room
        except OSError as error:
            self._pending = b""  # a full disk, perhaps; the bytes are lost, as they would be without the agent
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                self.close()  # its reader is gone, and the step must notice that


def wanted(streams: List[Stream]) -> Dict[int, int]:
    """What to poll for, by descriptor, for all of them."""
    return {fd: mask for stream in streams for fd, mask in stream.wanted().items()}


def hand_over(streams: List[Stream]) -> None:
    """Fork a process that passes on what background processes will write. It ends with the last of them."""
    written = [stream for stream in streams if stream.has_writer()]
    if written and os.fork() == 0:
        try:
            _pass_on(written)
        finally:
            os._exit(0)
    for stream in written:
        stream.close()


def _pass_on(streams: List[Stream]) -> None:
    signal.set_wakeup_fd(-1)
    # It must outlive the last writer, which may ignore any of these signals.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            continue  # one of the C library's own
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
