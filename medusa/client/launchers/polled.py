"""For job systems that have to be asked: by a thread, so that the session's loop never waits for an answer."""

from __future__ import annotations

import abc
import queue
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import ClassVar, TypeVar

from medusa.client.launchers.base import JobRequest, JobState, Launcher
from medusa.protocol.printable import printable

PERIOD = 5.0
"""Seconds between two looks at the job; the original's."""

CLOSE_PATIENCE = 20.0
"""Seconds that the clean-up may take; a job system that is away must not hold the user."""

SLOW = 5.0
"""Seconds after which the user is told whom all waits for."""

T = TypeVar("T")


class Job(abc.ABC):
    """One job, step by step: start, then look again and again; close in any case. Each step may block.

    Attributes:
        state: as last heard of; read by another thread.
        remarks: why no agent came, once it cannot come any more; printable lines.
        joined: its agent came; set by another thread.
    """

    def __init__(self, words: str) -> None:
        self.state = JobState(alive=True, words=words)
        self.remarks: list[str] = []
        self.joined = False

    @abc.abstractmethod
    def start(self, request: JobRequest) -> None:
        """Hands the job over to the system; what goes wrong is in `state`."""

    @abc.abstractmethod
    def look(self, *, waiting: bool) -> None:
        """Asks how it fares; while `waiting` for its agent, also keeps fresh what that will need."""

    def over(self, words: str, remarks: Iterable[str] = ()) -> None:
        """No agent will come, or none is there any more. Whoever sees that in `state` finds the remarks."""
        self.remarks = list(remarks)
        self.state = JobState(alive=False, words=words)

    def fail(self, why: str) -> None:
        """It is over for a reason of our own."""
        self.over("failed", why.splitlines())

    @abc.abstractmethod
    def close(self, *, clean: bool) -> list[str]:
        """Ends the job unless it ended or will, after a `clean` session, and removes what it left.

        Returns:
            What could not be done, as lines that tell the user what to do.
        """


class PolledLauncher(Launcher):
    """Runs a Job's steps in a thread. A subclass sets `job` in its constructor, or in create().

    Attributes:
        system: whom the user waits for: `the Manta`.
    """

    queues = True
    system: ClassVar[str]
    job: Job

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._worker = _Worker()
        self._ending = threading.Event()
        self._closed = False

    @abc.abstractmethod
    def lost(self) -> str:
        """What the user can do about a job whose system does not answer: `see ... by: COMMAND`."""

    def submit(self, request: JobRequest) -> None:
        self._worker.call(lambda: self._run(request))

    def poll(self) -> JobState:
        return self.job.state

    def log_tail(self) -> list[str]:
        return self.job.remarks

    def joined(self) -> None:
        self.job.joined = True

    def finish(self, patience: float, *, clean: bool) -> None:
        """A clean session's job ends by itself, in its own time: to cancel it then would mark it as cancelled."""
        self._close(clean=clean)

    def cancel(self) -> None:
        self._close(clean=False)

    def ask(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises in the thread; the user is told when that takes long."""
        future = self._worker.call(function)
        self._wait(future)
        return future.result()

    def _run(self, request: JobRequest) -> None:
        try:
            self.job.start(request)
            while self.job.state.alive and not self._ending.wait(PERIOD):
                self.job.look(waiting=not self.job.joined)
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            self.job.fail(f"internal error: {printable(repr(error))}")

    def _close(self, *, clean: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self._ending.set()
        # Behind what the worker is at: a job that is just being created must not be forgotten.
        closing = self._worker.call(lambda: self.job.close(clean=clean))
        self._worker.stop()
        if self._wait(closing, CLOSE_PATIENCE):
            lines = closing.result()
        else:
            lines = [f"{self.system} does not answer; {self.lost()}"]
        for line in lines:
            self._tell(line)

    def _wait(self, future: Future[T], patience: float | None = None) -> bool:
        """Whether it is done in time."""
        if not wait([future], SLOW).done:
            limit = "" if patience is None else f", for {patience:g} s at the most"
            self._tell(f"waiting for {self.system} to answer{limit}")
        return bool(wait([future], patience).done)


class _Worker:
    """A thread that does one thing after another. A daemon: one that hangs does not hold the program."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="launcher", daemon=True)

    def call(self, function: Callable[[], T]) -> Future[T]:
        """What `function` returns or raises, in time."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
                future.set_exception(error)

        if self._thread.ident is None:
            self._thread.start()
        self._tasks.put(run)
        return future

    def stop(self) -> None:
        """Ends the thread when it is done with what it was given."""
        self._tasks.put(None)

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the main thread's business
        while (task := self._tasks.get()) is not None:
            task()
