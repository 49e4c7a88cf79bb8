"""Runs several reflector processes on the same sockets: starts workers, restarts them, and passes on signals.

Plain Python, without gevent and threads. It holds what has to survive a worker: the listening sockets and the inboxes.
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
from dataclasses import replace

import structlog

from medusa.reflector.config import ConfigError, ReflectorConfig
from medusa.reflector.workers.fd_channel import open_channel
from medusa.reflector.workers.process import PROGRAM, Backoff, WorkerProcess
from medusa.reflector.workers.sharding import KEY_SIZE
from medusa.reflector.workers.task import DRAIN, RELOAD, Task
from medusa.signal_pipe import SignalPipe, do_nothing

log = structlog.get_logger(component="supervisor")

ORDERS: dict[int, bytes] = {signal.SIGTERM: DRAIN, signal.SIGINT: DRAIN, signal.SIGHUP: RELOAD}
"""The order that a signal becomes. A second one that means DRAIN stops the supervisor at once."""

MAX_WAIT = 3600.0
"""Seconds."""


class Supervisor:
    """Call `run`, once, from the main thread; it returns when all workers have ended.

    Args:
        listeners: by their names (medusa.reflector.net.listen); closed when `run` returns.
        log_settings: format and level, for the workers.
        announce: called once, when all workers serve, with the URLs of the reflector.
        lifeline: a descriptor; at its end of file the supervisor stops at once.
        program: the module that a worker runs.

    Raises:
        ConfigError: the system has no room for the sockets of so many workers.
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
        self._worker_grace = config.timeouts.worker_grace
        self._listeners = listeners
        self._announce = announce
        self._lifeline = lifeline
        self._program = program
        try:
            self._channels = {number: open_channel() for number in range(1, workers + 1)}
        except OSError as error:
            raise ConfigError("workers: no mailboxes for %d: %s" % (workers, error.strerror or error)) from None
        key, directory = secrets.token_hex(KEY_SIZE), os.getcwd()
        fds = {name: sock.fileno() for name, sock in listeners.items()}
        self._tasks = {
            number: Task(
                # One worker publishes. If it dies before that is done, the next one with its number goes on.
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
        self._due: dict[int, float] = {}  # when to start the missing workers
        self._announced = False
        self._draining = False
        self._leaving = False  # all workers were dismissed ...
        self._kill_at = math.inf  # ... and are killed at this time
        self._status: int | None = None  # if set, stop at once with this exit status
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Supervise until all workers have ended. Returns the exit status.

        Raises:
            ConfigError: a worker cannot serve, before all of them have served once.
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
            for number in ORDERS:  # a signal that comes while the program exits must not change its status
                signal.signal(number, do_nothing)
        return self._status or 0

    def _step(self) -> None:
        now = time.monotonic()
        for number, when in list(self._due.items()):
            if when <= now:
                self._start(number)
        if now >= self._kill_at:
            self._kill()
        nearest = min([*self._due.values(), self._kill_at, now + MAX_WAIT])
        for key, _ in self._selector.select(max(0.0, nearest - time.monotonic())):
            key.data()
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
        """A worker has ended, or could not be started: plan the next start.

        Args:
            worker: None if there was no process.
            end: how it ended, for the log.

        Raises:
            ConfigError: not all workers have served yet, so the next one would fail as well.
        """
        if not self._announced:
            how = end.get("reason") or ", ".join(f"{what} {value}" for what, value in end.items())
            raise ConfigError(str(end.get("reason") or f"worker {number} ended while it started: {how}"))
        lived = time.monotonic() - worker.started if worker else 0.0
        if self._draining and not (worker and worker.url):
            log.error("worker ended", worker=number, **end, lived_s=round(lived, 3))
            return  # a drain needs no new worker where none has served
        wait = self._backoffs[number].delay(lived)
        self._due[number] = time.monotonic() + wait
        log.error("worker ended", worker=number, **end, lived_s=round(lived, 3), next_start_s=wait)

    def _order(self, order: bytes) -> None:
        for worker in self._workers.values():
            worker.order(order)

    def _dismiss(self) -> None:
        self._leaving, self._kill_at = True, time.monotonic() + self._worker_grace
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
            if order == RELOAD:
                self._order(order)
            elif order == DRAIN and (self._draining or not self._announced):
                self._status = 128 + number
            elif order == DRAIN:
                self._draining = True
                self._due = dict.fromkeys(self._due, 0.0)
                self._order(order)

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
