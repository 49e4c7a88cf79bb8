"""A child on a pseudo-terminal, never blocking.

ptyprocess opens the terminal and starts the child; its reading, writing, waiting and killing block or sleep, so they
are not used.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import struct
import termios
from typing import List, Optional, Tuple

from ptyprocess import PtyProcess

from agent.session.command import CannotStart, Launch, to_bytes
from agent.session.process_tree import tell_ended, tell_session
from medusa.guard import Guard
from medusa.protocol.control import Exit, Resize

READ_SIZE = 64 * 1024
_PR_SET_CHILD_SUBREAPER = 36


class PtyChild:
    """One child, its terminal's master side, and its exit.

    Attributes:
        pid: of the child, which leads its own session.
        fd: the master, non-blocking; -1 when closed.
        exit: how the child ended, once `reap` saw it.
    """

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd
        self.exit: Optional[Exit] = None
        os.set_blocking(fd, False)
        os.set_inheritable(fd, False)

    @classmethod
    def spawn(cls, launch: Launch, guard: Guard) -> PtyChild:
        """Start the child. It enters itself with `guard` before it executes its program, so no moment is unguarded.

        Raises:
            CannotStart: no terminal, no process, or the program cannot be executed.
        """
        parent = os.getpid()
        made: List[Tuple[int, int]] = []

        class Spawned(PtyProcess):  # type: ignore[misc]  # has no types
            """Without the file objects, the waiting and the sleeping of its kind."""

            def __init__(self, pid: int, fd: int) -> None:
                self.pid, self.fd = pid, fd
                self.closed = True  # nothing for the base class's __del__ to do
                made.append((pid, fd))

        def prepare() -> None:
            guard.tell(tell_session(os.getpid()))
            _reset()
            os.chdir(to_bytes(launch.cwd))

        try:
            Spawned.spawn(
                [to_bytes(word) for word in launch.argv],
                env={to_bytes(name): to_bytes(value) for name, value in launch.env.items()},
                preexec_fn=prepare,
                dimensions=(launch.size.lines, launch.size.columns),
                pass_fds=(guard.fd,),
            )
        except Exception as error:  # noqa: BLE001  (ptyprocess re-raises whatever the child met)
            if os.getpid() != parent:
                os._exit(127)  # a forked child must never come back into the caller's stack
            for pid, fd in made:
                os.close(fd)
                os.waitpid(pid, 0)
                guard.tell(tell_ended(pid))
            raise CannotStart("%s: %s" % (launch.argv[0], _reason(error))) from None
        return cls(*made[0])

    def read(self) -> Optional[bytes]:
        """Output of at most READ_SIZE bytes; None when there is none now.

        Raises:
            EOFError: nobody holds the terminal open (at the moment: the child may open it again).
        """
        parts: List[bytes] = []
        size = 0
        # The kernel hands out a terminal's output in pieces of at most 4 KiB.
        while size < READ_SIZE:
            try:
                data = os.read(self.fd, READ_SIZE - size)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EINTR) or parts:
                    break
                if error.errno == errno.EIO:
                    raise EOFError from None
                raise
            if not data:
                if parts:
                    break
                raise EOFError
            parts.append(data)
            size += len(data)
        return b"".join(parts) or None

    def write(self, data: memoryview) -> int:
        """Input: how many bytes the terminal took, possibly none.

        Raises:
            EOFError: nobody holds the terminal open.
        """
        try:
            return os.write(self.fd, data)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return 0
            if error.errno == errno.EIO:
                raise EOFError from None
            raise

    def resize(self, size: Resize) -> None:
        """Set the window; the kernel tells the foreground process by SIGWINCH."""
        try:
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", size.lines, size.columns, 0, 0))
        except (OSError, ValueError):
            pass  # the terminal is gone with its child, and so is whoever cared for its size

    def foreground(self) -> List[int]:
        """The terminal's foreground process group, if there is one."""
        try:
            group = os.tcgetpgrp(self.fd)
        except OSError:
            return []
        return [group] if group > 1 else []

    def reap(self) -> bool:
        """Collect ended children; whether this one is among them, now or before. Call after each SIGCHLD."""
        while True:
            try:
                # Any child: orphans of the session have become the agent's own.
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self.pid:
                self.exit = _exit_of(status)
        return self.exit is not None

    def close(self) -> None:
        """Close the master; the kernel then hangs up on what still uses the terminal."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _exit_of(status: int) -> Exit:
    if not os.WIFSIGNALED(status):
        return Exit(status=os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    try:
        return Exit(signal=signal.Signals(number).name)
    except ValueError:
        return Exit(status=128 + number)  # a real-time signal has no name that the other side knows


def _reset() -> None:
    """In the child: what the agent or its own parent changed must not be inherited."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:
            continue  # the C library keeps some for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    no_core_dumps()
    _close_on_exec()


def adopt_orphans() -> None:
    """Become the parent of what the child leaves behind, to reap it: a container's process 1 may not. Linux only."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass


def no_core_dumps() -> None:
    """Memory holds secrets; a core file would keep them. The soft limit: a user who wants a core may raise it again."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _close_on_exec() -> None:
    # ptyprocess closes up to the soft limit; a descriptor inherited from before that limit was lowered lies above it.
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return
    for fd in (int(name) for name in names):
        if fd > 2:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                continue  # the descriptor of the listing itself


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__
