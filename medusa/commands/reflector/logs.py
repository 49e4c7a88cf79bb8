"""The reflector's log: structured events on stderr, as JSON lines with bunyan's fields or as text for a terminal."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from medusa.protocol.printable import printable

# structlog imports rich, if it is installed, to print exceptions in colour, which this log never does. That takes
# longer than all other imports of a reflector, so it shall not be found.
_HIDES_RICH = "rich" not in sys.modules
if _HIDES_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if _HIDES_RICH:
    del sys.modules["rich"]

BUNYAN_LEVELS = {"debug": 20, "info": 30, "warning": 40, "error": 50, "critical": 60, "exception": 50}
"""The number that bunyan has for each level, so that bunyan's tools can read the log."""


def configure(
    log_format: str,
    level: str,
    fd: int = 2,
    poll: Callable[[], Any] = select.poll,
    context: Mapping[str, Any] = {},
) -> None:
    """Sets up structlog for this process.

    Args:
        log_format: one of LOG_FORMATS in medusa.commands.reflector.command.
        level: one of LOG_LEVELS in medusa.commands.reflector.command; events below this level are dropped.
        fd: the descriptor that the lines are written to.
        poll: the select.poll that gevent has not patched, because writing a log line must not switch greenlets.
        context: fields to add to every line.
    """

    def add_context(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**context, **event}

    first: list[Any] = [add_context] if context else []
    if log_format == "json":
        tail: list[Any] = [_BunyanLine()]
    else:
        first += [structlog.processors.add_log_level, structlog.processors.format_exc_info]
        colours = os.isatty(fd) and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
        stamper = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        tail = [stamper, _printable, structlog.dev.ConsoleRenderer(colors=colours)]
    lines = _Lines(fd, poll)
    structlog.configure(
        processors=first + tail,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )


class _Lines:
    """A logger of structlog that writes lines to `fd` and never waits.

    If the reader of the log is too slow, lines are dropped, and a later line says how many. So a peer that causes
    many lines cannot block the reflector.
    """

    def __init__(self, fd: int, poll: Callable[[], Any]) -> None:
        self._fd = _unblocking(fd)
        self._poll = poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._lost = 0
        self._torn = b""  # the newline that is still due after a line that was cut off

    def msg(self, line: str) -> None:
        """Writes one line. Every level uses this method."""
        if self._lost and self._takes():
            lost, self._lost = self._lost, 0
            structlog.get_logger(component="log").warning("log lines lost", count=lost)
        data = whole = self._torn + (line + "\n").encode("utf-8", "backslashreplace")
        try:
            while data and self._takes():
                # A pipe that is writable takes this much without blocking.
                data = data[os.write(self._fd, data[: select.PIPE_BUF]) :]
        except OSError:
            pass
        self._lost += bool(data)
        if len(data) < len(whole):
            self._torn = b"\n" if data else b""

    debug = info = warning = error = critical = exception = msg

    def _takes(self) -> bool:
        ready = self._poll.poll(0)
        return bool(ready) and bool(ready[0][1] & select.POLLOUT)


def _unblocking(fd: int) -> int:
    """Returns a new descriptor with O_NONBLOCK for the terminal that `fd` has open; `fd` itself if it is no terminal.

    Without O_NONBLOCK, a write to a writable terminal can block in the middle of a line. If `fd` itself had the flag,
    all programs that share its open file would have it.
    """
    try:
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return fd


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escapes control characters in all fields, because a terminal would obey them. JSON needs no such step."""
    return {
        key: printable(value, limit=4096) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


class _BunyanLine:
    """Makes a line of JSON for each event, with bunyan's names and fields. It is a processor of structlog."""

    def __init__(self) -> None:
        self._head = {"name": "medusa", "hostname": socket.gethostname(), "pid": os.getpid()}
        self._encode = json.JSONEncoder(default=repr).encode  # json.dumps would make an encoder for each line
        self._second, self._day_and_time = 0, ""

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        # What structlog has processors for is done here: a line is written for each session, and each call counts.
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, method, event)
        head, message = self._head, event.pop("event")
        event["level"] = BUNYAN_LEVELS[method]
        return self._encode({**head, "level": 0, "msg": message, **event, "time": self._time(), **head, "v": 0})

    def _time(self) -> str:
        """Returns the time as ISO 8601 writes it, in UTC."""
        microseconds = time.time_ns() // 1000
        second = microseconds // 1_000_000
        if second != self._second:
            self._second, self._day_and_time = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return "%s.%06dZ" % (self._day_and_time, microseconds % 1_000_000)
