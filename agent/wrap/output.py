"""Passes a step's output on to the agent's stdout and stderr: every byte, in order, with no buffer that grows.

The agent shares its stdout and stderr with other programs, so it must not make them non-blocking. Instead, it writes
only if poll(2) reports that a descriptor is writable, and at most SLICE bytes at once. Such a write does not block. If
the output is read slowly, the step becomes slow too.
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
from medusa.forked import close_others

READ_SIZE = 64 * 1024
SLICE = getattr(select, "PIPE_BUF", 512)
"""The number of bytes that a pipe accepts at once if poll(2) reports it as writable."""


class Stream:
    """Passes the bytes of a pipe of the step on to a descriptor of the agent.

    Args:
        source: the reading end of the pipe. `close` closes it.
        sink: the agent's descriptor to write to. This class never closes it.
        tail: gets a copy of all bytes.
    """

    def __init__(self, source: int, sink: int, tail: Optional[Tail]) -> None:
        self.source, self.sink, self._tail = source, sink, tail
        self._pending = b""
        self._left: Optional[int] = None
        os.set_blocking(source, False)

    def wanted(self) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        if self._pending:
            return {self.sink: WRITE}
        return {} if self.source < 0 or self.passed else {self.source: READ}

    def step(self, events: Dict[int, int]) -> None:
        """Reads from the pipe or writes to the sink, if poll has reported that it is ready.

        Args:
            events: what poll reported, as a mask for each descriptor.
        """
        if self._pending:
            if events.get(self.sink):
                self._write()
        elif self.source >= 0 and events.get(self.source):
            self._read()

    def limit_to_present(self) -> None:
        """Limits the output to the bytes that the pipe holds now. Call this when the step has ended.

        Bytes that arrive later are not from the step, but from a background process that has the pipe open.
        """
        if self.source >= 0:
            answer = fcntl.ioctl(self.source, termios.FIONREAD, bytes(4))
            (self._left,) = struct.unpack("i", answer)

    @property
    def passed(self) -> bool:
        """True if all bytes that the step wrote before its end have been passed on."""
        return not self._pending and (self.source < 0 or self._left == 0)

    def has_writer(self) -> bool:
        """Returns True if there may be more bytes to pass on. Removes the limit that `limit_to_present` has set.

        There may be more bytes if another process has the pipe open, or if bytes were read that were not passed on yet.
        """
        self._left = None
        if self.source >= 0 and not self._pending:
            self._read()
        return bool(self.wanted())

    def close(self) -> None:
        """Closes the pipe and discards what has not been passed on. A process that still writes gets EPIPE."""
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
            pass  # another program has made the sink non-blocking, and filled it
        except OSError as error:
            self._pending = b""  # the disk is full, for example: the bytes would be lost without the agent too
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                self.close()  # the reader is gone: the step must get EPIPE too


def wanted(streams: List[Stream]) -> Dict[int, int]:
    """Returns the events of all `streams` to poll for, as a mask for each descriptor."""
    return {fd: mask for stream in streams for fd, mask in stream.wanted().items()}


def hand_over(streams: List[Stream]) -> None:
    """Forks a process that passes on the output of the step's background processes, until the last of them has ended.

    Closes the streams in this process. Forks nothing if no process can write any more.
    """
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
    # This process must outlive the last writer, which may ignore any of these signals.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            continue  # the C library reserves this signal
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
