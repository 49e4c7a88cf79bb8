"""The program of one worker: one of several reflector processes that share a port.

The supervisor (medusa.reflector.workers.supervisor) starts it. Pipes join its standard input and output to the
supervisor.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys

import gevent
import gevent.event
import gevent.os
from gevent import monkey

from medusa.commands.process.garbage import settle
from medusa.commands.reflector.serve import configure_log  # lets gevent patch the standard library
from medusa.reflector.cluster.lease import Holder
from medusa.reflector.config import ConfigError
from medusa.reflector.net import fd_limit
from medusa.reflector.net.sockets import PlainSocket
from medusa.reflector.server import Reflector
from medusa.reflector.workers.handoff import Handoff
from medusa.reflector.workers.task import ALIVE, DRAIN, DRAINED, FAILED, LISTENING, RELOAD, Task


def main() -> int:
    """Runs a worker until its supervisor stops it. Returns the exit status."""
    if not monkey.is_module_patched("socket"):
        raise RuntimeError("import medusa.commands.reflector.serve before the reflector's modules")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # a terminal sends them to all processes; the supervisor acts on them
    settle()
    line, _, more = _first_line().partition(b"\n")
    task = Task.parse(line)
    os.set_blocking(1, False)  # a supervisor that is stopped reads no reports, and must not stop the worker
    configure_log(*task.log, worker=task.number)
    try:
        os.chdir(task.directory)
        worker = _ServingProcess(task)
    except (ConfigError, OSError) as error:
        _report(FAILED + str(error))
        return 1
    gevent.spawn(worker.obey, more)
    worker.reflector.wait()
    return 0


class _ServingProcess:
    """The reflector of one worker. The constructor starts to serve. Raises ConfigError."""

    def __init__(self, task: Task) -> None:
        self._released = gevent.event.Event()
        self._drained = False
        outboxes = {number: _inherited(fd) for number, fd in task.outboxes.items()}
        patience, self._timeouts = 3 * task.config.keepalive, task.config.timeouts
        self._handoff = Handoff(
            task.number, bytes.fromhex(task.key), _inherited(task.inbox), outboxes, patience, self._timeouts
        )
        listeners = {name: _inherited(fd) for name, fd in task.listeners.items()}
        self.reflector = Reflector(task.config, listeners, self._handoff, _holder(task))
        self.reflector.start()
        fd_limit.check(fd_limit.PER_PROXIED_PAIR if task.config.tls_cert else fd_limit.PER_PAIR)
        _report(LISTENING + self.reflector.urls)
        gevent.spawn(self._report_forever)
        if task.draining:
            gevent.spawn(self._drain)

    def obey(self, received: bytes) -> None:
        """Carries out the supervisor's orders until the pipe from the supervisor ends, and then ends this process.

        A process that has drained has no sessions left, but it may still pass connections on to other workers. It ends
        after these connections have ended, at the latest after `worker_finish_timeout`.

        `received`: the bytes that were already read from the pipe.
        """
        gevent.os.make_nonblocking(0)
        while True:
            *orders, received = received.split(b"\n")
            for order in orders:
                if order == DRAIN:
                    gevent.spawn(self._drain)
                elif order == RELOAD:
                    self.reflector.reload()
            data = gevent.os.nb_read(0, 512)
            if not data:
                break
            received += data
        if not self._drained:
            os._exit(0)
        self._released.set()

    def _report_forever(self) -> None:
        while True:
            gevent.sleep(self._timeouts.worker_report_interval)
            _report(ALIVE)

    def _drain(self) -> None:
        self.reflector.drain(self._wait_for_the_others)

    def _wait_for_the_others(self) -> None:
        self._drained = True
        _report(DRAINED)
        self._released.wait()
        self._handoff.finish(self._timeouts.worker_finish_timeout)


def _holder(task: Task) -> Holder:
    """Returns the process that keeps this reflector's address in the shared directory: the supervisor."""
    return Holder.of(os.getppid(), hashlib.sha256(task.key.encode()).hexdigest()[:16])


def _first_line() -> bytes:
    data = b""
    while b"\n" not in data:
        more = os.read(0, 1 << 16)
        if not more:
            sys.exit(0)
        data += more
    return data


def _inherited(fd: int) -> PlainSocket:
    os.set_inheritable(fd, False)
    sock = PlainSocket(fileno=fd)
    sock.setblocking(False)
    return sock


def _report(line: str) -> None:
    try:
        os.write(1, line.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        pass  # the supervisor is stopped; or it is gone, and `obey` reaches the end of the pipe as well


if __name__ == "__main__":
    sys.exit(main())
