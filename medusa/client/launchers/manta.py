"""Jobs of a Manta: created and watched over its HTTP API by a thread, so that the session's loop never waits for it."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable
from medusa.transports.dial import parse_url

PERIOD = 5.0
"""Seconds between two looks at the job; the original's."""

CLOSE_PATIENCE = 20.0
"""Seconds that the clean-up may take; a Manta that is away must not hold the user."""

SLOW = 5.0
"""Seconds after which the user is told whom all waits for."""

WHO_ASKS = (401, 403)
"""Statuses of an account that is not believed, or may not."""

T = TypeVar("T")


class MantaLauncher(Launcher):
    """A map job on OBJECT, or a reduce job without one, that runs the agent."""

    name = "manta"
    queues = True

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        from medusa.client.manta import MantaClient, MantaError  # slow to load
        from medusa.client.mantajob import MantaJob

        if settings.url is None or settings.account is None:
            raise Failure("the launcher `manta` needs --url, --account and --key")
        if settings.archive is not None:
            raise Failure(
                "--archive means nothing to the launcher `manta`: publish the file by "
                "`medusa publish --archive FILE manta:~~/public/agent.sh`, and name that object by --agent-object"
            )
        self._error = MantaError
        try:
            api = MantaClient(settings.url, settings.account, settings.insecure_tls)
            self._job = MantaJob(api, ledger, settings.account.login, settings.wishes, settings.object)
        except MantaError as error:
            raise Failure(str(error)) from None
        self._account = settings.account
        self.front_door: str = settings.url if "://" in settings.url else "https://" + settings.url
        self._tell = settings.tell
        self._worker = _Worker()
        self._waiting = threading.Event()
        self._waiting.set()
        self._ending = threading.Event()
        self._closed = False

    def describe(self) -> str:
        return f"Manta job {self._job.job_id}" if self._job.job_id else "Manta job"

    def create(self) -> str:
        """Returns the job's id, which the front door knows the session by."""
        try:
            creating = self._worker.call(self._job.create)
            self._wait(creating)
            return creating.result()
        except self._error as error:
            lines = [f"no job: {error}"]
            if error.status in WHO_ASKS:
                lines += self._account.to_check(parse_url(self.front_door).netloc)
            raise Failure("\n".join(lines)) from None

    def submit(self, request: JobRequest) -> None:
        self._worker.call(lambda: self._run(request))

    def poll(self) -> JobState:
        return self._job.state

    def log_tail(self) -> list[str]:
        return self._job.remarks

    def joined(self) -> None:
        self._waiting.clear()

    def finish(self, patience: float, *, clean: bool) -> None:
        """A clean session's job ends by itself, in its own time: to cancel it then would mark it as cancelled."""
        self._close(clean=clean)

    def cancel(self) -> None:
        self._close(clean=False)

    def _run(self, request: JobRequest) -> None:
        try:
            self._job.start(request)
            while self._job.state.alive and not self._ending.wait(PERIOD):
                self._job.look(waiting=self._waiting.is_set())
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            self._job.fail(f"internal error: {printable(repr(error))}")

    def _close(self, *, clean: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self._ending.set()
        # Behind what the worker is at: a job that is just being created must not be forgotten.
        closing = self._worker.call(lambda: self._job.close(clean=clean))
        self._worker.stop()
        if self._wait(closing, CLOSE_PATIENCE):
            lines = closing.result()
        else:
            job = self._job.job_id
            what = f"job {job} by: mjob get {job}" if job else "the job by: mjob list"
            lines = [f"the Manta does not answer; see what became of {what}"]
        for line in lines:
            self._tell(line)

    def _wait(self, future: Future[T], patience: float | None = None) -> bool:
        """Whether it is done in time."""
        if not wait([future], SLOW).done:
            limit = "" if patience is None else f", for {patience:g} s at the most"
            self._tell(f"waiting for the Manta to answer{limit}")
        return bool(wait([future], patience).done)


class _Worker:
    """A thread that does one thing after another. A daemon: one that hangs does not hold the program."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="manta", daemon=True)

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
