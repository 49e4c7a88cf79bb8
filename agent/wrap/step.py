"""Runs the job's step as if it ran alone: passes on its output, and sends it the signals that the agent gets."""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import subprocess
import time
from typing import Dict, FrozenSet, List, NamedTuple, Tuple

from agent.poller import READ, Poller
from agent.process.inherited import NOTHING, Inherited
from agent.signals import StopSignals
from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from agent.wrap.output import Stream, hand_over, wanted
from agent.wrap.phases import TABLE, Input, Phase
from agent.wrap.step_signals import ENDS_STEP, OWN, STOPS, TAKEN, stop, terminal_signals
from agent.wrap.tail import Tail
from medusa.guard import Guard

NOT_EXECUTABLE, NOT_FOUND = 126, 127

_SI_KERNEL = 0x80
"""The si_code in siginfo, on Linux, of a signal that a key of the terminal sent."""
_STARTED, _ENDED = "step ", "step ended "


class Outcome(NamedTuple):
    """Says how a step ended.

    Attributes:
        status: the exit status as in a shell's `$?`: 128+n if signal n killed the step, 127 if the command was not
            found, 126 if it could not be executed.
        words: a text that describes the status.
        stopped: True if somebody asked the step to end, by a signal to the agent or a key of the terminal.
    """

    status: int
    words: str
    stopped: bool = False


class Step:
    """One run of the step's command.

    Args:
        argv: the command and its arguments.
        env: the environment of the command.
        signals: the agent's signals, which are passed on to the step.
        guard: the helper process that kills the step if the agent is killed. It gets a record of the step's process.
        tail: keeps the last output of stdout and stderr, in the order in which it is read.
        inherited: the settings, inherited from the job, that are restored for the step.
    """

    def __init__(
        self,
        argv: List[str],
        env: Dict[bytes, bytes],
        signals: StopSignals,
        guard: Guard,
        tail: Tail,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        inherited: Inherited = NOTHING,
    ) -> None:
        self._inherited = inherited
        self._argv, self._env = [os.fsencode(word) for word in argv], env
        self._signals, self._guard, self._tail, self._timeouts = signals, guard, tail, timeouts
        self._streams: List[Stream] = []
        self._pid = self._wait_status = 0
        self._phase = Phase.RUNNING
        self._stopped = False
        self._stop_asked = False
        self._expires_at = math.inf

    def run(self) -> Outcome:
        """Runs the step and returns its outcome.

        Returns after the step has ended, and after its output was passed on or given up.
        """
        keys = terminal_signals()
        masked = keys | (TAKEN - self._inherited.ignored if hasattr(signal, "sigtimedwait") else frozenset())
        before = signal.pthread_sigmask(signal.SIG_BLOCK, masked)
        try:
            process = self._spawn()
            self._pid = process.pid
            self._guard.record(_STARTED + str(self._pid))
            self._loop(masked, self._timeouts.terminal_interval if keys else self._timeouts.signals_interval)
        except OSError as error:
            if self._pid:
                raise
            return self._not_started(error)
        finally:
            self._take_signals(masked)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        process.returncode = 0  # `_reap` has waited for the process; the Popen object must not wait again
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
        # The step inherits all descriptors, for example those of make's job server.
        def start(argv: List[bytes]) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                argv,
                env=self._env,
                stdout=out,
                stderr=err,
                close_fds=False,
                restore_signals=False,
                preexec_fn=self._inherited.restore,  # noqa: PLW1509  (the agent has one thread)
            )

        try:
            return start(self._argv)
        except OSError as error:
            path = self._env.get(b"PATH")
            found = shutil.which(self._argv[0], path=path)  # type: ignore[arg-type]  # both are bytes
            if error.errno != errno.ENOEXEC or found is None:
                raise
            return start([b"/bin/sh", found, *self._argv[1:]])  # run a script without a `#!` line, as execvp(3) does

    def _not_started(self, error: OSError) -> Outcome:
        for stream in self._streams:
            stream.close()
        status = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        return Outcome(status, "could not be started: %s (status %d)" % (os.strerror(error.errno or 0), status))

    # ------------------------------------------------------------------ run

    def _loop(self, masked: FrozenSet[int], interval: float) -> None:
        poller = Poller()
        while not self._is_over():
            poller.watch({self._signals.fileno(): READ, **wanted(self._streams)})
            events = poller.wait(self._timeouts.terminal_interval if self._stopped else interval)
            for number in self._signals.take():
                self._pass_on(number)
            self._take_signals(masked)
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
        if number in OWN:
            return
        self._stop_asked = number in STOPS or (self._stop_asked and number != signal.SIGCONT)
        if self._phase is Phase.RUNNING and self._pid:
            try:
                os.kill(self._pid, number)
            except OSError:
                pass  # the step runs as another user
        if number in ENDS_STEP:
            self._stopped = True
            self._process(Input.STOP_ASKED)

    def _take_signals(self, masked: FrozenSet[int]) -> None:
        """Takes the pending signals, and sends them to the step.

        Does not send a signal that the agent itself has caused. Does not send a signal of a key such as Control-C,
        because the terminal has sent it to the step already.

        Args:
            masked: the signals to take. They are blocked, so no handler is called for them.
        """
        while masked:
            info = signal.sigtimedwait(masked, 0)
            if info is None:
                return
            if info.si_code == _SI_KERNEL:
                self._stopped = self._stopped or info.si_signo in ENDS_STEP
                self._stop_asked = self._stop_asked or info.si_signo in STOPS
            elif info.si_pid != os.getpid():
                self._pass_on(info.si_signo)

    def _reap(self) -> None:
        # Wait for any child: the first process of a container adopts others.
        while self._phase is Phase.RUNNING:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                if pid == self._pid and self._stop_asked:
                    stop(os.WSTOPSIG(status))
            elif pid == self._pid:
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
    """Kills the step if it has not ended. The guard (helper process) calls this if the agent has died.

    Args:
        lines: the lines that the agent has recorded in the guard. They say whether the step has started and ended.
    """
    named: Tuple[str, ...] = tuple(line for line in lines if line.startswith(_STARTED))
    if named and not named[-1].startswith(_ENDED):
        try:
            os.kill(int(named[-1][len(_STARTED) :]), signal.SIGKILL)
        except OSError:
            pass  # the step has ended


def _two_files() -> bool:
    """True if the agent's stdout and stderr are different files.

    If they are the same file, Step makes one pipe, and the step's command writes both its stdout and its stderr to it.
    With two pipes, the agent could not tell which bytes were written first.
    """
    out, err = os.fstat(1), os.fstat(2)
    return (out.st_dev, out.st_ino, out.st_rdev) != (err.st_dev, err.st_ino, err.st_rdev)
