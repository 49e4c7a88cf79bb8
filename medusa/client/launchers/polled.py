"""The base classes of launchers for job systems that must be asked again and again for a job's state.

A thread asks the job system, so the loop that serves the terminal never waits for an answer.
"""

from __future__ import annotations

import abc
import math
import queue
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import ClassVar, Protocol, TypeVar

from medusa.client.launchers.base import JobRequest, JobState, Launcher
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable
from medusa.protocol.record import replace

T = TypeVar("T")


class Clock(Protocol):
    """The functions of the module `time` that jobs use. Tests pass another object."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class Job(abc.ABC):
    """A job in a job system. Call `start` once, then `look` repeatedly, and in any case `close` at the end.

    These three methods may block. A subclass calls `report`, `report_problem`, `over` and `fail` to set `state`.

    Attributes:
        state: the state of the job. Another thread reads it.
        remarks: printable lines that explain why there is no agent. Empty while the job is alive.
        joined: True if the agent has attached. Another thread sets it.
        grace: how many seconds `close` waits at most for the job to end by itself. Another thread sets it.
    """

    def __init__(self, words: str) -> None:
        self.state = JobState(alive=True, words=words)
        self.remarks: list[str] = []
        self.joined = False
        self.grace = math.inf

    @abc.abstractmethod
    def start(self, request: JobRequest) -> None:
        """Submits the job to the job system. Raises no exceptions: after a failure, `state` describes it."""

    @abc.abstractmethod
    def look(self, *, waiting: bool) -> None:
        """Asks the job system for the job's state, and sets `state`.

        `waiting`: True until the agent attaches. While it is True, this method also renews the agent's config before
        the config expires.
        """

    def report(
        self, words: str, ends_at: float | None = None, problem: str | None = None, *, halted: bool = False
    ) -> None:
        """Sets `state` to a live state. Use this while the agent runs or may still start.

        Args:
            words: the state in words for the user, such as `queued`.
            ends_at: the time.monotonic() at which the job system will end the job; None if it is unknown.
            problem: what went wrong, for the user; None if there is no problem.
            halted: True if the job system has suspended the job.
        """
        self.state = JobState(alive=True, words=words, ends_at=ends_at, problem=problem, halted=halted)

    def report_problem(self, text: str) -> None:
        """Adds the problem `text` to `state`, and keeps the rest of `state`. Use this for temporary failures."""
        self.state = replace(self.state, problem=text)

    def over(self, words: str, remarks: Iterable[str] = ()) -> None:
        """Sets `state` to an ended state. Use this if the job has ended, or if its agent can no longer attach.

        Also sets `remarks`, before `state`: another thread reads `remarks` when it sees the new state.
        """
        self.remarks = list(remarks)
        self.state = JobState(alive=False, words=words)

    def fail(self, why: str) -> None:
        """Sets `state` to `failed`. Each line of `why` becomes a remark."""
        self.over("failed", why.splitlines())

    def keep(self) -> bool:
        """Lets the job go on if mlogin dies: the guard process then no longer ends the job.

        Returns False if the job cannot go on without mlogin. Another thread calls this, while `look` may be running.
        """
        return False

    @abc.abstractmethod
    def close(self, *, clean: bool) -> list[str]:
        """Ends the job and removes its files and other traces.

        `clean`: True if the agent has reported the session's end. Then the job ends by itself, so a subclass need not
        cancel it. If False, the agent may still run, and a subclass must cancel a job that is alive.

        Returns:
            Lines for the user: what could not be ended or removed, and how the user can do it.
        """


class PolledLauncher(Launcher):
    """A launcher that calls the methods of a Job in a thread.

    A subclass sets the attribute `job` in its constructor or in create().

    Attributes:
        system: the name of the job system in messages to the user, such as `the Manta`.

    Args:
        tell: a function that shows a line to the user.
    """

    queues = sees_end = True
    system: ClassVar[str]
    job: Job

    def __init__(self, tell: Callable[[str], None], timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self._tell = tell
        self._timeouts = timeouts
        self._thread = _TaskThread()
        self._ending = threading.Event()
        self._closed = False

    @abc.abstractmethod
    def lost(self) -> str:
        """Returns words for the user about a job whose job system does not answer: what the user can do.

        The words have the form `see ... by: COMMAND`.
        """

    def submit(self, request: JobRequest) -> None:
        self._thread.call(lambda: self._run(request))

    def poll(self) -> JobState:
        return self.job.state

    def log_tail(self) -> list[str]:
        return self.job.remarks

    def joined(self) -> None:
        self.job.joined = True

    def keep(self) -> bool:
        return self.job.keep()

    def finish(self, grace: float, *, clean: bool) -> None:
        """Closes the job after its session: calls `Job.close` in the thread, and waits for it.

        Shows the user the lines that `Job.close` returns. Waits up to `close_timeout` seconds, then tells the user that
        the job system does not answer.

        Args:
            grace: how many seconds `Job.close` may wait for the job to end by itself.
            clean: True if the agent has reported the session's end. It is passed on to `Job.close`.
        """
        self.job.grace = grace
        self._close(clean=clean)

    def cancel(self) -> None:
        self._close(clean=False)

    def ask(self, function: Callable[[], T]) -> T:
        """Runs `function` in the thread, and returns its result. Tells the user if that takes long.

        Raises the exception that `function` raises.
        """
        future = self._thread.call(function)
        self._wait(future)
        return future.result()

    def _run(self, request: JobRequest) -> None:
        try:
            self.job.start(request)
            while self.job.state.alive and not self._ending.wait(self._timeouts.poll_interval):
                self.job.look(waiting=not self.job.joined)
        except Exception as error:  # noqa: BLE001 - no caller reads the future of this call
            self.job.fail(f"internal error: {printable(repr(error))}")

    def _close(self, *, clean: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self._ending.set()
        # The thread closes the job after its current call. So a job that is just being created is closed as well.
        closing = self._thread.call(lambda: self.job.close(clean=clean))
        self._thread.stop()
        if self._wait(closing, self._timeouts.close_timeout):
            lines = closing.result()
        else:
            lines = [f"{self.system} does not answer; {self.lost()}"]
        for line in lines:
            self._tell(line)

    def _wait(self, future: Future[T], timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds until `future` has its result. Returns True if it has the result.

        Tells the user if the wait takes long. If `timeout` is None, there is no limit.
        """
        if not wait([future], self._timeouts.slow_delay).done:
            limit = "" if timeout is None else f", for {timeout:g} s at the most"
            self._tell(f"waiting for {self.system} to answer{limit}")
        return bool(wait([future], timeout).done)


class _TaskThread:
    """A daemon thread that runs calls one after another. A call that hangs does not stop the program from ending."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="launcher", daemon=True)

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Queues a call of `function`. Returns a future that gets the result or the exception."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - future.result() raises it again
                future.set_exception(error)

        if self._thread.ident is None:
            self._thread.start()
        self._tasks.put(run)
        return future

    def stop(self) -> None:
        """Lets the thread end after the calls that are queued now. Does not wait for its end."""
        self._tasks.put(None)

    def join(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for the end of the thread. Returns True if the thread has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the main thread handles signals
        while (task := self._tasks.get()) is not None:
            task()
