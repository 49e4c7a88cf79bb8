"""Runs a reflector in a single process: sets up gevent, logging and signals, then serves."""

# ruff: noqa: E402
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os
import signal
from types import SimpleNamespace

import gevent
import gevent.os

from medusa.commands.reflector import logs
from medusa.commands.reflector.systemd import READY, STOPPING, notify
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net import fd_limit
from medusa.reflector.server import Reflector

# By default gevent keeps the stack of each spawn for debugging. That costs more than the spawn itself.
gevent.config.track_greenlet_tree = False


def run(config: ReflectorConfig, options: SimpleNamespace, log_settings: tuple[str, str]) -> int:
    """Runs a reflector until a signal ends it. Returns the exit status. Raises ConfigError."""
    configure_log(*log_settings)
    reflector = Reflector(config)
    reflector.start()
    fd_limit.check()
    _stop_on_signals(reflector)
    gevent.signal_handler(signal.SIGHUP, reflector.reload)
    if options.lifeline is not None:
        gevent.spawn(_watch, options.lifeline)
    print(f"listening {reflector.urls}", flush=True)
    notify(READY)
    reflector.wait()
    return 0


def configure_log(log_format: str, level: str, **context: object) -> None:
    """Sets up the log of a process that gevent has patched. `context`: fields to add to every line."""
    logs.configure(log_format, level, poll=monkey.get_original("select", "poll"), context=context)


def _stop_on_signals(reflector: Reflector) -> None:
    """Installs the handlers: the first SIGTERM or SIGINT drains the reflector, a second one ends it at once."""
    seen: list[int] = []

    def on_signal(number: int) -> None:
        seen.append(number)
        if len(seen) == 1:
            notify(STOPPING)
            gevent.spawn(reflector.drain)
        else:
            os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, on_signal, number)


def _watch(lifeline: int) -> None:
    """Waits until the pipe `lifeline` is closed, then ends this process at once.

    The program that started this reflector holds the other end. So the pipe is closed when that program has ended.
    """
    gevent.os.make_nonblocking(lifeline)
    while gevent.os.nb_read(lifeline, 512):
        pass
    os._exit(0)
