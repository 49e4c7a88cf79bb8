"""Launchers for job systems that have to be asked: a thread asks, so the session's loop never waits for an answer."""

from __future__ import annotations

import abc
import dataclasses
import queue
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import ClassVar, Protocol, TypeVar

from medusa.client.launchers.base import JobRequest, JobState, Launcher
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable

T = TypeVar("T")


class Clock(Protocol):
    """The part of the module `time` that is used by jobs."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class Job(abc.ABC):
    """One job in a job system. Call `start` once, then `look` again and again, and `close` in any case. Each may block.

    A subclass keeps `state` up to date by `report`, `report_problem`, `over` and `fail`.

    Attributes:
        state: what is known of the job; read by another thread.
        remarks: why no agent came, once none can come any more; printable lines.
        joined: the agent came; set by another thread.
    """

    def __init__(self, words: str) -> None:
        self.state = JobState(alive=True, words=words)
        self.remarks: list[str] = []
        self.joined = False

    @abc.abstractmethod
    def start(self, request: JobRequest) -> None:
        """Hands the job over to the system. Raises nothing: what goes wrong is in `state`."""

    @abc.abstractmethod
    def look(self, *, waiting: bool) -> None:
        """Asks the system for the job's state; while `waiting` for the agent, also renews what the agent will need."""

    def report(self, words: str, ends_at: float | None = None, problem: str | None = None) -> None:
        """The job is alive. The arguments are those of JobState."""
        self.state = JobState(alive=True, words=words, ends_at=ends_at, problem=problem)

    def report_problem(self, text: str) -> None:
        """Something failed that may succeed next time. Everything else in `state` stays as it was last reported."""
        self.state = dataclasses.replace(self.state, problem=text)

    def over(self, words: str, remarks: Iterable[str] = ()) -> None:
        """The job ended, or no agent can come any more. Sets `remarks` before `state`, which another thread reads."""
        self.remarks = list(remarks)
        self.state = JobState(alive=False, words=words)

    def fail(self, why: str) -> None:
        """mlogin gives the job up; each line of `why` becomes a remark."""
        self.over("failed", why.splitlines())

    @abc.abstractmethod
    def close(self, *, clean: bool) -> list[str]:
        """Ends the job and removes what it left. After a `clean` session the job may be left to end by itself.

        Returns:
            What could not be done, as lines that say what the user can do.
        """


class PolledLauncher(Launcher):
    """Calls the steps of a Job in a thread. A subclass sets `job` in its constructor or in create().

    Attributes:
        system: the name of the job system in sentences: `the Manta`.

    Args:
        tell: says a line to the user.
    """

    queues = True
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
        """What the user can do about a job whose system does not answer: `see ... by: COMMAND`."""

    def submit(self, request: JobRequest) -> None:
        self._thread.call(lambda: self._run(request))

    def poll(self) -> JobState:
        return self.job.state

    def log_tail(self) -> list[str]:
        return self.job.remarks

    def joined(self) -> None:
        self.job.joined = True

    def finish(self, grace: float, *, clean: bool) -> None:
        """Closes the job. After a clean session it ends by itself; to cancel it would mark it as cancelled."""
        self._close(clean=clean)

    def cancel(self) -> None:
        self._close(clean=False)

    def ask(self, function: Callable[[], T]) -> T:
        """Runs `function` in the thread and waits for its result; tells the user if that takes long."""
        future = self._thread.call(function)
        self._wait(future)
        return future.result()

    def _run(self, request: JobRequest) -> None:
        try:
            self.job.start(request)
            while self.job.state.alive and not self._ending.wait(self._timeouts.poll_interval):
                self.job.look(waiting=not self.job.joined)
        except Exception as error:  # noqa: BLE001 - nobody asks for this call's result
            self.job.fail(f"internal error: {printable(repr(error))}")

    def _close(self, *, clean: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self._ending.set()
        # The thread closes the job after its current step: a job that is just being created is not forgotten.
        closing = self._thread.call(lambda: self.job.close(clean=clean))
        self._thread.stop()
        if self._wait(closing, self._timeouts.close_timeout):
            lines = closing.result()
        else:
            lines = [f"{self.system} does not answer; {self.lost()}"]
        for line in lines:
            self._tell(line)

    def _wait(self, future: Future[T], timeout: float | None = None) -> bool:
        """Whether the call ended within `timeout` seconds; None for no limit."""
        if not wait([future], self._timeouts.slow_delay).done:
            limit = "" if timeout is None else f", for {timeout:g} s at the most"
            self._tell(f"waiting for {self.system} to answer{limit}")
        return bool(wait([future], timeout).done)


class _TaskThread:
    """Runs calls one after another in a daemon thread, so that a call that hangs does not keep the program alive."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="launcher", daemon=True)

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Queues a call; the future gets what `function` returns or raises."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - future.result() raises it
                future.set_exception(error)

        if self._thread.ident is None:
            self._thread.start()
        self._tasks.put(run)
        return future

    def stop(self) -> None:
        """Ends the thread after the calls that are queued."""
        self._tasks.put(None)

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended, after at most `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the main thread handles them
        while (task := self._tasks.get()) is not None:
            task()
