"""Runs several reflector processes on the same sockets: starts workers, replaces them, and passes signals on to them.

The supervisor uses neither gevent nor threads. It keeps open what has to survive a worker's death: the listening
sockets, and the sockets between the workers.
"""

from __future__ import annotations

import math
import os
import secrets
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from medusa.protocol.record import replace
from medusa.reflector.config import ConfigError, ReflectorConfig
from medusa.reflector.hangup import CHECK_INTERVAL, Hangup
from medusa.reflector.workers.fd_channel import open_channel
from medusa.reflector.workers.process import PROGRAM, Backoff, WorkerProcess
from medusa.reflector.workers.service_manager import NoManager, ServiceManager
from medusa.reflector.workers.sharding import KEY_SIZE
from medusa.reflector.workers.task import DRAIN, RELOAD, Task
from medusa.signal_pipe import SignalPipe, do_nothing

log = structlog.get_logger(component="supervisor")

ORDERS: dict[int, bytes] = {signal.SIGTERM: DRAIN, signal.SIGINT: DRAIN, signal.SIGHUP: RELOAD}
"""The order to send to the workers for each signal. A second signal for DRAIN stops the supervisor at once."""

LATE = 3.0
"""If a wait of the supervisor takes so many seconds too long, the supervisor was suspended, perhaps with its workers.

Suspended workers could not report. So each worker's time to report then begins anew.
"""


class Supervisor:
    """Supervises the workers of a reflector. Call `run` once, from the main thread.

    A worker that does not report for some time hangs. It is killed, and another one takes its place.

    Args:
        workers: the number of workers.
        listeners: the listening sockets by name (medusa.reflector.net.listen). `run` closes them when it returns.
        log_settings: the log's format and level, for the workers.
        announce: called once, when all workers serve, with the URLs of the reflector.
        lifeline: a descriptor. When it reaches end of file, the supervisor stops immediately. None: no lifeline.
        program: the module that a worker's process runs.

    Attributes:
        hangup: decides whether a SIGHUP means to reload or to stop. None: each SIGHUP means to reload.
        manager: the service manager.

    Raises:
        ConfigError: the system cannot open the sockets between so many workers.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        workers: int,
        listeners: Mapping[str, socket.socket],
        log_settings: tuple[str, str],
        announce: Callable[[str], object],
        lifeline: int | None = None,
        program: str = PROGRAM,
    ) -> None:
        self.hangup: Hangup | None = None
        self.manager: ServiceManager = NoManager()
        self._timeouts = config.timeouts
        self._listeners = listeners
        self._announce = announce
        self._lifeline = lifeline
        self._program = program
        try:
            self._channels = {number: open_channel() for number in range(1, workers + 1)}
        except OSError as error:
            raise ConfigError("workers: no mailboxes for %d: %s" % (workers, error.strerror or error)) from None
        key, directory = secrets.token_hex(KEY_SIZE), os.getcwd()
        config = config.share(workers)
        fds = {name: sock.fileno() for name, sock in listeners.items()}
        self._tasks = {
            number: Task(
                # Only worker 1 publishes the agent's archive. If it dies before that is done, its successor publishes.
                config if number == 1 else replace(config, publish=None),
                number,
                key,
                fds,
                inbox.fileno(),
                {other: outbox.fileno() for other, (_, outbox) in self._channels.items() if other != number},
                directory,
                log_settings,
            )
            for number, (inbox, _) in self._channels.items()
        }
        self._backoffs = {number: Backoff() for number in self._tasks}
        self._workers: dict[int, WorkerProcess] = {}
        self._due: dict[int, float] = {}  # by number: when to start a worker that has ended
        self._announced = False
        self._draining = False
        self._leaving = False  # True: all workers were told to stop ...
        self._kill_at = math.inf  # ... and those still running at this time are killed
        self._status: int | None = None  # if set: stop immediately with this exit status
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Runs the workers until they have drained and ended. Returns the exit status.

        Stops everything immediately after a second signal to stop, or at the end of the lifeline.

        Raises:
            ConfigError: a worker could not be started, or has ended, before all workers served.
        """
        signals = SignalPipe(ORDERS)
        self._selector.register(signals, selectors.EVENT_READ, lambda: self._on_signals(signals.take()))
        try:
            if self._lifeline is not None:
                self._selector.register(self._lifeline, selectors.EVENT_READ, self._on_lifeline)
            for number in self._tasks:
                self._start(number)
            while self._status is None and (self._workers or not self._leaving):
                self._step()
        finally:
            self._clean_up()
            signals.close()
            for number in ORDERS:  # a signal that arrives while the program exits must not change its exit status
                signal.signal(number, do_nothing)
        return self._status or 0

    def _step(self) -> None:
        now = time.monotonic()
        for number, when in list(self._due.items()):
            if when <= now:
                self._start(number)
        if now >= self._kill_at:
            self._kill()
        self.manager.beat()
        nearest = min([*self._due.values(), self._kill_at, self.manager.due, now + CHECK_INTERVAL])
        ready = self._selector.select(max(0.0, nearest - time.monotonic()))
        if time.monotonic() >= nearest + LATE:
            for worker in self._workers.values():
                worker.heard = time.monotonic()
        for key, _ in ready:
            key.data()
        if self.hangup is not None and self.hangup.watching and self.hangup.look():
            self._drain()
        self._kill_those_that_hang()
        if not self._announced and all(self._url(number) for number in self._tasks):
            self._announced = True
            self._announce(self._url(1))
        drained = not self._due and all(worker.drained for worker in self._workers.values())
        if self._draining and not self._leaving and drained:
            self._dismiss()

    def _url(self, number: int) -> str:
        return self._workers[number].url if number in self._workers else ""

    # ------------------------------------------------------------------ workers

    def _start(self, number: int) -> None:
        self._due.pop(number, None)
        task = replace(self._tasks[number], draining=self._draining)
        fds = [*task.listeners.values(), task.inbox, *task.outboxes.values()]
        try:
            worker = WorkerProcess(task, fds, self._program)
        except OSError as error:
            text = os.strerror(error.errno) if error.errno else str(error)
            self._restart_later(number, None, {"reason": text})
            return
        self._workers[number] = worker
        self._selector.register(worker, selectors.EVENT_READ, lambda: self._on_report(worker))

    def _on_report(self, worker: WorkerProcess) -> None:
        served, alive = worker.url, worker.read_reports()
        if worker.url != served:
            log.info("worker serves", worker=worker.number, worker_pid=worker.pid)
        if alive:
            return
        self._selector.unregister(worker)
        del self._workers[worker.number]
        end: dict[str, int | str] = worker.reap()
        if worker.complaint:
            end["reason"] = worker.complaint
        if not self._leaving:
            self._restart_later(worker.number, worker, end)

    def _restart_later(self, number: int, worker: WorkerProcess | None, end: Mapping[str, int | str]) -> None:
        """Plans the next start of a worker that has ended, or that could not be started.

        Args:
            worker: the process that has ended. None if it could not be started.
            end: how the worker ended, as fields for the log.

        Raises:
            ConfigError: not all workers have served yet. A new worker would probably fail for the same reason.
        """
        if not self._announced:
            how = end.get("reason") or ", ".join(f"{what} {value}" for what, value in end.items())
            raise ConfigError(str(end.get("reason") or f"worker {number} ended while it started: {how}"))
        lived = time.monotonic() - worker.started if worker else 0.0
        if self._draining and not (worker and worker.url):
            log.error("worker ended", worker=number, **end, lived_s=round(lived, 3))
            return  # draining: no new worker is needed, because this one never served
        wait = self._backoffs[number].delay(lived)
        self._due[number] = time.monotonic() + wait
        log.error("worker ended", worker=number, **end, lived_s=round(lived, 3), next_start_s=wait)

    def _kill_those_that_hang(self) -> None:
        """Kills each worker that has not reported in time. For example, a call in it does not return.

        When a killed worker's output ends, `_on_report` plans the start of another worker in its place.
        """
        now, timeouts = time.monotonic(), self._timeouts
        for worker in self._workers.values():
            silent = now - worker.heard
            limit = timeouts.worker_silence_timeout if worker.url else timeouts.worker_start_timeout
            if silent < limit or worker.complaint or self._leaving:
                continue
            worker.complaint = f"it did not answer for {silent:.0f} s"
            log.error("worker hangs", worker=worker.number, worker_pid=worker.pid, silent_s=round(silent, 1))
            worker.kill()

    def _order(self, order: bytes) -> None:
        for worker in self._workers.values():
            worker.order(order)
        self.manager.ordered(order)

    def _dismiss(self) -> None:
        self._leaving, self._kill_at = True, time.monotonic() + self._timeouts.worker_grace
        for worker in self._workers.values():
            worker.dismiss()

    def _kill(self) -> None:
        self._kill_at = math.inf
        for worker in self._workers.values():
            worker.kill()

    # ------------------------------------------------------------------ signals and the lifeline

    def _on_signals(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            order = ORDERS.get(number)
            if number == signal.SIGHUP and self.hangup is not None and self.hangup.signalled():
                self._drain()
            elif order == RELOAD:
                self._order(order)
            elif order == DRAIN and (self._draining or not self._announced):
                self._status = 128 + number
            elif order == DRAIN:
                self._drain()

    def _drain(self) -> None:
        """Tells all workers to drain. Stops at once instead if not all workers have served yet. Idempotent."""
        if not self._announced:
            self._status = 128 + signal.SIGHUP
        elif not self._draining:
            self._draining = True
            self._due = dict.fromkeys(self._due, 0.0)
            self._order(DRAIN)

    def _on_lifeline(self) -> None:
        assert self._lifeline is not None
        if not os.read(self._lifeline, 512):
            self._status = 0

    def _clean_up(self) -> None:
        self._kill()
        for worker in self._workers.values():
            worker.reap()
        self._selector.close()
        for sock in [*self._listeners.values(), *(end for pair in self._channels.values() for end in pair)]:
            sock.close()
