"""Running the job's own step as if it ran alone: its output is passed through, and signals are passed on to it."""

from __future__ import annotations

import enum
import errno
import math
import os
import shutil
import signal
import subprocess
import time
from typing import Dict, FrozenSet, List, NamedTuple, Tuple

from agent.poller import READ, Poller
from agent.signals import StopSignals
from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from agent.wrap.output import Stream, hand_over, wanted
from agent.wrap.tail import Tail
from medusa.guard import Guard

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
ENDS_STEP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Those of PASSED_ON that ask for the step's end."""

NOT_EXECUTABLE, NOT_FOUND = 126, 127

_SI_KERNEL = 0x80
"""siginfo's si_code, on Linux, of a signal that comes from a terminal's key."""
_STARTED, _ENDED = "step ", "step ended "


class Phase(enum.Enum):
    """Where a step is."""

    RUNNING = "its process lives"
    FLUSHING = "it has ended; its last output is being passed on"
    OVER = "all of that is done, or given up"


class Input(enum.Enum):
    """What can happen to a step."""

    EXITED = "its process has ended"
    OUTPUT_PASSED = "all of its output is passed on"
    STOP_ASKED = "a signal asks for the end"
    OUTPUT_EXPIRED = "its end was asked for, and its output is not read in time"


TABLE = {
    (Phase.RUNNING, Input.EXITED): Phase.FLUSHING,
    (Phase.RUNNING, Input.STOP_ASKED): Phase.RUNNING,
    (Phase.FLUSHING, Input.OUTPUT_PASSED): Phase.OVER,
    (Phase.FLUSHING, Input.STOP_ASKED): Phase.OVER,  # what reads the output may never read on
    (Phase.FLUSHING, Input.OUTPUT_EXPIRED): Phase.OVER,
    (Phase.OVER, Input.STOP_ASKED): Phase.OVER,
}
"""The next phase. A pair that is not in it cannot happen."""


class Outcome(NamedTuple):
    """How a step ended.

    Attributes:
        status: as a shell's `$?`: its own, 128+n for signal n, 127 not found, 126 not executable.
        words: the same in words.
        stopped: its end was asked for, of the agent or by a key of the terminal.
    """

    status: int
    words: str
    stopped: bool = False


class Step:
    """One run of a command.

    Args:
        guard: is told of the process, so that it does not outlive an agent that is killed.
        tail: gets stdout and stderr, in the order in which they are read.
    """

    def __init__(
        self,
        argv: List[str],
        env: Dict[bytes, bytes],
        signals: StopSignals,
        guard: Guard,
        tail: Tail,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self._argv, self._env = [os.fsencode(word) for word in argv], env
        self._signals, self._guard, self._tail, self._timeouts = signals, guard, tail, timeouts
        self._streams: List[Stream] = []
        self._pid = self._wait_status = 0
        self._phase = Phase.RUNNING
        self._stopped = False
        self._expires_at = math.inf

    def run(self) -> Outcome:
        """Returns when the step has ended and all of its output is passed on."""
        try:
            process = self._spawn()
        except OSError as error:
            return self._not_started(error)
        self._pid = process.pid
        self._guard.record(_STARTED + str(self._pid))
        masked = _terminal_signals()
        signal.pthread_sigmask(signal.SIG_BLOCK, masked)
        try:
            self._loop(masked)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, masked)
        process.returncode = 0  # `_reap` has waited for it; the object must not try to
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
        # The step inherits all descriptors, such as those of make's job server.
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
        while not self._is_over():
            poller.watch({self._signals.fileno(): READ, **wanted(self._streams)})
            events = poller.wait(self._timeouts.terminal_interval if masked or self._stopped else None)
            for number in self._signals.take():
                self._pass_on(number)
            self._check_terminal(masked)
            self._reap()
            for stream in self._streams:
                stream.step(events)

    def _process(self, event: Input) -> None:
        self._phase = TABLE[self._phase, event]

    def _is_over(self) -> bool:
        if self._phase is Phase.FLUSHING:
            if all(stream.passed for stream in self._streams):
                self._process(Input.OUTPUT_PASSED)
            elif self._stopped and time.monotonic() >= self._expires_at:
                self._process(Input.OUTPUT_EXPIRED)
        return self._phase is Phase.OVER

    def _pass_on(self, number: int) -> None:
        if number not in PASSED_ON:
            return
        if self._phase is Phase.RUNNING:
            try:
                os.kill(self._pid, number)
            except OSError:
                pass  # it runs as another user
        if number in ENDS_STEP:
            self._stopped = True
            self._process(Input.STOP_ASKED)

    def _check_terminal(self, masked: FrozenSet[signal.Signals]) -> None:
        """Take pending signals. One that a key has sent must not be passed on: the step has received it as well."""
        while masked:
            info = signal.sigtimedwait(masked, 0)
            if info is None:
                return
            if info.si_code == _SI_KERNEL:
                self._stopped = True
            else:
                self._pass_on(info.si_signo)

    def _reap(self) -> None:
        # Any child: the first process of a container has adopted others.
        while self._phase is Phase.RUNNING:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid == self._pid:
                self._wait_status = status
                self._process(Input.EXITED)
                self._guard.record(_ENDED + str(pid))
                self._expires_at = time.monotonic() + self._timeouts.output_timeout
                for stream in self._streams:
                    stream.limit_to_present()

    def _outcome(self) -> Outcome:
        status = self._wait_status
        if not os.WIFSIGNALED(status):
            code = os.WEXITSTATUS(status)
            return Outcome(code, "failed with status %d" % code, self._stopped)
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "signal %d" % number
        return Outcome(128 + number, "was killed by %s (status %d)" % (name, 128 + number), self._stopped)


def end_step(lines: List[str]) -> None:
    """A guard's cleanup: kill the step that its lines name, unless they name it as ended."""
    named: Tuple[str, ...] = tuple(line for line in lines if line.startswith(_STARTED))
    if named and not named[-1].startswith(_ENDED):
        try:
            os.kill(int(named[-1][len(_STARTED) :]), signal.SIGKILL)
        except OSError:
            pass  # it has ended


def _two_files() -> bool:
    """Whether stdout and stderr are two files. If they are one, one pipe keeps the order of what is written."""
    out, err = os.fstat(1), os.fstat(2)
    return (out.st_dev, out.st_ino, out.st_rdev) != (err.st_dev, err.st_ino, err.st_rdev)


def _terminal_signals() -> FrozenSet[signal.Signals]:
    """The signals whose origin must be known, as a terminal's keys send them to the step as well."""
    handled = {number for number in (signal.SIGINT, signal.SIGQUIT) if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return frozenset()
    return frozenset(handled if hasattr(signal, "sigtimedwait") else ())
