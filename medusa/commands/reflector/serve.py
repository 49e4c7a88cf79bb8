"""Runs a reflector in a single process: sets up gevent, logging and signals, then serves.

To import this module lets gevent patch the standard library.
"""

# ruff: noqa: E402
from __future__ import annotations

from gevent import events, monkey

# At each step gevent looks for plug-ins, in the metadata of all installed packages. This took a quarter of the start.
events.notify_and_call_entry_points = events.notify  # type: ignore[attr-defined]
monkey.patch_all()

import math
import os
import signal
import time
from types import SimpleNamespace

import gevent
import gevent.os

from medusa.commands.reflector import logs
from medusa.commands.reflector.check.precautions import warn
from medusa.commands.reflector.streams import announce
from medusa.commands.reflector.systemd import READY, STOPPING, Watchdog, notify, reloading
from medusa.commands.reflector.variables import tell_adopted
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.hangup import CHECK_INTERVAL, Hangup
from medusa.reflector.net import fd_limit
from medusa.reflector.server import Reflector

# By default gevent keeps the stack of each spawn for debugging. That costs more than the spawn itself.
gevent.config.track_greenlet_tree = False


def run(config: ReflectorConfig, options: SimpleNamespace, log_settings: tuple[str, str]) -> int:
    """Runs a reflector until a signal ends it. Returns the exit status. Raises ConfigError."""
    configure_log(*log_settings)
    warn(config, options.config)
    tell_adopted(options.adopted)
    hangup = Hangup()
    reflector = Reflector(config)
    reflector.start()
    fd_limit.check()
    _Signals(reflector, hangup)
    if options.lifeline is not None:
        gevent.spawn(_watch, options.lifeline)
    announce(reflector.urls)
    notify(READY)
    gevent.spawn(_beat_forever, Watchdog())
    reflector.wait()
    return 0


def configure_log(log_format: str, level: str, **context: object) -> None:
    """Sets up the log of a process that gevent has patched. `context`: fields to add to every line."""
    logs.configure(log_format, level, poll=monkey.get_original("select", "poll"), context=context)


class _Signals:
    """Handles the signals of a reflector's process. The constructor installs the handlers.

    The first SIGTERM or SIGINT starts to drain the reflector: it accepts no new session, and ends after its last
    session, at the latest after the drain timeout. A second SIGTERM or SIGINT ends this process at once. SIGHUP reloads
    the certificate. If the reflector's terminal has ended, SIGHUP starts to drain the reflector instead.
    """

    def __init__(self, reflector: Reflector, hangup: Hangup) -> None:
        self._reflector = reflector
        self._hangup = hangup
        self._draining = False
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._on_stop, number)
        gevent.signal_handler(signal.SIGHUP, self._on_hangup)
        if hangup.watching:
            gevent.spawn(self._look_forever)

    def _on_stop(self, number: int) -> None:
        if self._draining:
            os._exit(128 + number)
        self._drain()

    def _on_hangup(self) -> None:
        if self._hangup.signalled():
            self._drain()
            return
        with reloading():
            self._reflector.reload()

    def _look_forever(self) -> None:
        while self._hangup.watching:
            gevent.sleep(CHECK_INTERVAL)
            if self._hangup.look():
                self._drain()

    def _drain(self) -> None:
        if not self._draining:
            self._draining = True
            notify(STOPPING)
            gevent.spawn(self._reflector.drain)


def _beat_forever(watchdog: Watchdog) -> None:
    """Tells systemd again and again that the event loop runs. Returns at once if systemd wants no such messages."""
    while watchdog.interval < math.inf:
        watchdog.beat()
        gevent.sleep(max(0.0, watchdog.due - time.monotonic()))


def _watch(lifeline: int) -> None:
    """Waits until the pipe `lifeline` is closed, then ends this process at once.

    The program that started this reflector holds the other end of the pipe. So this process ends together with it.
    """
    gevent.os.make_nonblocking(lifeline)
    while gevent.os.nb_read(lifeline, 512):
        pass
    os._exit(0)
