"""Several reflector processes on the same sockets: starts them, starts them again, passes on what it is told.

Plain Python, no gevent, no threads; it holds what has to survive a worker: the listening sockets and the mailboxes.
"""

from __future__ import annotations

import math
import os
import secrets
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from medusa.reflector.config import ConfigError, ReflectorConfig
from medusa.reflector.workers.backoff import Backoff
from medusa.reflector.workers.fd_channel import mailbox
from medusa.reflector.workers.process import PROGRAM, Worker
from medusa.reflector.workers.sharding import KEY_SIZE
from medusa.reflector.workers.task import DRAIN, RELOAD, Task

log = structlog.get_logger(component="supervisor")

ORDERS = {signal.SIGTERM: DRAIN, signal.SIGINT: DRAIN, signal.SIGHUP: RELOAD}


class Supervisor:
    """`run` returns when all is over.

    Args:
        listeners: by name; those of medusa.reflector.workers.handoff' doors. They are the supervisor's from here on.
        log_settings: format and level, for the workers.
        announce: told, once, where all of them serve.
        lifeline: stop at once when this descriptor reaches its end.
        program: the workers' module.

    Raises:
        ConfigError: the system has not what so many need.
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
            self._mailboxes = {number: mailbox() for number in range(1, workers + 1)}
        except OSError as error:
            raise ConfigError("workers: no mailboxes for %d: %s" % (workers, error.strerror or error)) from None
        key, directory = secrets.token_hex(KEY_SIZE), os.getcwd()
        fds = {name: sock.fileno() for name, sock in listeners.items()}
        self._tasks = {
            number: Task(
                # One worker publishes; where it dies before that is done, the next one goes on.
                config if number == 1 else replace(config, publish=None),
                number,
                key,
                fds,
                inbox.fileno(),
                {other: outbox.fileno() for other, (_, outbox) in self._mailboxes.items() if other != number},
                directory,
                log_settings,
            )
            for number, (inbox, _) in self._mailboxes.items()
        }
        self._backoffs = {number: Backoff() for number in self._tasks}
        self._workers: dict[int, Worker] = {}
        self._due: dict[int, float] = {}  # when to start those that are not there
        self._announced = False
        self._draining = False
        self._leaving = False  # all were told to go ...
        self._kill_at = math.inf  # ... and this is when they must have
        self._status: int | None = None  # to stop at once with
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Returns the exit status. Raises ConfigError: a worker cannot serve, right at the beginning."""
        signals = self._catch_signals()
        try:
            if self._lifeline is not None:
                self._selector.register(self._lifeline, selectors.EVENT_READ, self._on_lifeline)
            for number in self._tasks:
                self._start(number)
            while self._status is None and (self._workers or not self._leaving):
                self._turn()
        finally:
            self._clean_up(signals)
        return self._status or 0

    def _turn(self) -> None:
        now = time.monotonic()
        for number, when in list(self._due.items()):
            if when <= now:
                self._start(number)
        if now >= self._kill_at:
            self._kill()
        nearest = min([*self._due.values(), self._kill_at, now + 3600.0])
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
            worker = Worker(task, fds, self._program)
        except OSError as error:
            text = os.strerror(error.errno) if error.errno else str(error)
            self._put_off(number, None, {"reason": text})
            return
        self._workers[number] = worker
        self._selector.register(worker, selectors.EVENT_READ, lambda: self._on_report(worker))

    def _on_report(self, worker: Worker) -> None:
        served, alive = worker.url, worker.heard()
        if worker.url != served:
            log.info("worker serves", worker=worker.number, worker_pid=worker.pid)
        if alive:
            return
        self._selector.unregister(worker)
        del self._workers[worker.number]
        end: dict[str, int | str] = worker.bury()
        if worker.complaint:
            end["reason"] = worker.complaint
        if not self._leaving:
            self._put_off(worker.number, worker, end)

    def _put_off(self, number: int, worker: Worker | None, end: Mapping[str, int | str]) -> None:
        """A worker is not there: start the next one, now or later. At the beginning that would help nobody.

        Args:
            worker: None where there was none.
        """
        if not self._announced:
            how = end.get("reason") or ", ".join(f"{what} {value}" for what, value in end.items())
            raise ConfigError(str(end.get("reason") or f"worker {number} ended while it started: {how}"))
        lived = time.monotonic() - worker.started if worker else 0.0
        if self._draining and not (worker and worker.url):
            log.error("worker ended", worker=number, **end, lived_s=round(lived, 3))
            return  # and nothing is waited for
        wait = self._backoffs[number].after(lived)
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

    # ------------------------------------------------------------------ what is told to it

    def _catch_signals(self) -> tuple[int, int]:
        """Signals become bytes in a pipe; returns its ends."""
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in ORDERS:
            signal.signal(number, lambda *_: None)
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._on_signals(os.read(reader, 64)))
        return reader, writer

    def _on_signals(self, numbers: bytes) -> None:
        for number in map(signal.Signals, numbers):
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

    def _clean_up(self, signals: tuple[int, int]) -> None:
        signal.set_wakeup_fd(-1)
        self._kill()
        for worker in self._workers.values():
            worker.bury()
        self._selector.close()
        for sock in [*self._listeners.values(), *(end for pair in self._mailboxes.values() for end in pair)]:
            sock.close()
        for fd in signals:
            os.close(fd)
