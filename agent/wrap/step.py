"""The job's own step, run as if nothing stood around it: its output passes through, its signals are passed on."""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import subprocess
import time
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from agent.poller import READ, Poller
from agent.signals import StopSignals
from agent.wrap.output import Stream, hand_over, wanted
from agent.wrap.tail import Tail
from medusa.guard import Guard

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
ENDS_STEP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

NOT_EXECUTABLE, NOT_FOUND = 126, 127
UNREAD = 2.0
"""Seconds for the output of a step whose end was asked for: a reader that has stopped reading is no reason to stay."""
TERMINAL_TICK = 0.1
"""Seconds between two looks at the signals of a terminal."""
_BY_KERNEL = 0x80
"""si_code of a signal that a terminal's key has sent. Linux."""
_TELLS, _FORGETS = "step ", "step ended "


class Outcome(NamedTuple):
    """How a step ended.

    Attributes:
        status: as a shell says it: its own, 128+n for signal n, 127 not found, 126 not executable.
        words: the same for people.
        stopped: somebody asked for its end: us, or all of the terminal.
    """

    status: int
    words: str
    stopped: bool = False


class Step:
    """One run of a command.

    Args:
        guard: is told of the process, which must not outlive a parent that is killed.
        tail: gets stdout and stderr, in the order in which they are read.
    """

    def __init__(
        self, argv: List[str], env: Dict[bytes, bytes], signals: StopSignals, guard: Guard, tail: Tail
    ) -> None:
        self._argv, self._env = [os.fsencode(word) for word in argv], env
        self._signals, self._guard, self._tail = signals, guard, tail
        self._streams: List[Stream] = []
        self._pid = 0
        self._ended: Optional[int] = None  # as waitpid has it
        self._stopped = self._hurried = False
        self._give_up_at = math.inf

    def run(self) -> Outcome:
        """Until it has ended and all that it wrote has gone on."""
        try:
            process = self._spawn()
        except OSError as error:
            return self._not_started(error)
        self._pid = process.pid
        self._guard.tell(_TELLS + str(self._pid))
        masked = _terminal_signals()
        signal.pthread_sigmask(signal.SIG_BLOCK, masked)
        try:
            self._loop(masked)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, masked)
        process.returncode = 0  # it was waited for; the object must not try
        hand_over(self._streams)
        return self._outcome()

    # ------------------------------------------------------------------ start

    def _spawn(self) -> subprocess.Popen[bytes]:
        pipes = [os.pipe() for _ in ((1, 2) if _two_files() else (1,))]
        try:
            return self._execute(pipes[0][1], pipes[-1][1])
        finally:
            for (reader, writer), sink in zip(pipes, (1, 2)):
                os.close(writer)
                self._streams.append(Stream(reader, sink, self._tail))

    def _execute(self, out: int, err: int) -> subprocess.Popen[bytes]:
        # Descriptors that we were given for it, such as those of make's job server, are its own.
        def start(argv: List[bytes]) -> subprocess.Popen[bytes]:
            return subprocess.Popen(argv, env=self._env, stdout=out, stderr=err, close_fds=False)

        try:
            return start(self._argv)
        except OSError as error:
            path = self._env.get(b"PATH")
            found = shutil.which(self._argv[0], path=path)  # type: ignore[arg-type]  # bytes beside bytes
            if error.errno != errno.ENOEXEC or found is None:
                raise
            return start([b"/bin/sh", found, *self._argv[1:]])  # as execvp(3) does

    def _not_started(self, error: OSError) -> Outcome:
        for stream in self._streams:
            stream.close()
        status = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        return Outcome(status, "could not be started: %s (status %d)" % (os.strerror(error.errno or 0), status))

    # ------------------------------------------------------------------ run

    def _loop(self, masked: FrozenSet[signal.Signals]) -> None:
        poller = Poller()
        while not self._over():
            poller.watch({self._signals.fileno(): READ, **wanted(self._streams)})
            events = poller.wait(TERMINAL_TICK if masked or self._stopped else None)
            for number in self._signals.take():
                self._pass_on(number)
            self._look_at_terminal(masked)
            self._reap()
            for stream in self._streams:
                stream.step(events)

    def _over(self) -> bool:
        if self._ended is None:
            return False
        unread = self._stopped and time.monotonic() >= self._give_up_at
        return self._hurried or unread or all(stream.passed for stream in self._streams)

    def _pass_on(self, number: int) -> None:
        if number not in PASSED_ON:
            return
        self._stopped = self._stopped or number in ENDS_STEP
        if self._ended is None:
            try:
                os.kill(self._pid, number)
            except OSError:
                pass  # it has become another user's
        elif number in ENDS_STEP:
            self._hurried = True  # who reads our output may never read on

    def _look_at_terminal(self, masked: FrozenSet[signal.Signals]) -> None:
        """What a key has sent the step has got as well: to pass it on would make two of one."""
        while masked:
            info = signal.sigtimedwait(masked, 0)
            if info is None:
                return
            if info.si_code == _BY_KERNEL:
                self._stopped = True
            else:
                self._pass_on(info.si_signo)

    def _reap(self) -> None:
        # Any child: the first process of a container has those of others, too.
        while self._ended is None:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid == self._pid:
                self._ended = status
                self._guard.tell(_FORGETS + str(pid))
                self._give_up_at = time.monotonic() + UNREAD
                for stream in self._streams:
                    stream.ended()

    def _outcome(self) -> Outcome:
        status = self._ended or 0
        if not os.WIFSIGNALED(status):
            code = os.WEXITSTATUS(status)
            return Outcome(code, "failed with status %d" % code, self._stopped)
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "signal %d" % number
        return Outcome(128 + number, "was killed by %s (status %d)" % (name, 128 + number), self._stopped)


def end_told(lines: List[str]) -> None:
    """A guard's cleanup: our own end by SIGKILL is that of the step."""
    told: Tuple[str, ...] = tuple(line for line in lines if line.startswith(_TELLS))
    if told and not told[-1].startswith(_FORGETS):
        try:
            os.kill(int(told[-1][len(_TELLS) :]), signal.SIGKILL)
        except OSError:
            pass  # it has ended


def _two_files() -> bool:
    """Whether stdout and stderr differ. Where they do not, one pipe keeps the order of what is written to them."""
    out, err = os.fstat(1), os.fstat(2)
    return (out.st_dev, out.st_ino, out.st_rdev) != (err.st_dev, err.st_ino, err.st_rdev)


def _terminal_signals() -> FrozenSet[signal.Signals]:
    """Those that must be asked where they come from: a terminal's keys send them to the step as well."""
    heeded = {number for number in (signal.SIGINT, signal.SIGQUIT) if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return frozenset()
    return frozenset(heeded if hasattr(signal, "sigtimedwait") else ())
