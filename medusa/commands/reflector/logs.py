"""Logging of the server: structured events on stderr, as bunyan's JSON lines or for a console."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from medusa.protocol.printable import printable

BUNYAN_LEVELS = {"debug": 20, "info": 30, "warning": 40, "error": 50, "critical": 60, "exception": 50}
"""Bunyan's numbers, so that its tools (and those of Manta's operators) read these lines."""


def configure(
    log_format: str,
    level: str,
    fd: int = 2,
    poll: Callable[[], Any] = select.poll,
    context: Mapping[str, Any] = {},
) -> None:
    """Set the process's structlog up.

    Args:
        log_format, level: of LOG_FORMATS and LOG_LEVELS in medusa.commands.options.
        fd: where the lines go.
        poll: select.poll, as it was before anything was monkey-patched: a log line may not switch greenlets.
        context: fields of every line.
    """

    def add_context(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**context, **event}

    shared: list[Any] = [add_context, structlog.processors.add_log_level, structlog.processors.format_exc_info]
    if log_format == "json":
        tail: list[Any] = [_Bunyan(), structlog.processors.JSONRenderer(serializer=_serialize)]
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"))
    else:
        tail = [_printable, structlog.dev.ConsoleRenderer(colors=os.isatty(fd))]
        shared.append(structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False))
    lines = _Lines(fd, poll)
    structlog.configure(
        processors=shared + tail,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )


_ENCODER = json.JSONEncoder(default=repr)


def _serialize(event: Any, **_: Any) -> str:
    """The event as JSON. json.dumps would make an encoder for each line."""
    return _ENCODER.encode(event)


class _Lines:
    """Writes the lines. If the log is not read fast enough, lines are dropped, and a later line says how many: the
    service never waits for its log, so a peer cannot stop it by causing many lines."""

    def __init__(self, fd: int, poll: Callable[[], Any]) -> None:
        self._fd = _unblocking(fd)
        self._poll = poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._lost = 0
        self._torn = b""  # what ends a line that was cut off

    def msg(self, line: str) -> None:
        """Any event, whatever its level."""
        if self._lost and self._takes():
            lost, self._lost = self._lost, 0
            structlog.get_logger(component="log").warning("log lines lost", count=lost)
        data = whole = self._torn + (line + "\n").encode("utf-8", "backslashreplace")
        try:
            while data and self._takes():
                # A pipe that takes anything takes this much at once.
                data = data[os.write(self._fd, data[: select.PIPE_BUF]) :]
        except OSError:
            pass
        self._lost += bool(data)
        if len(data) < len(whole):
            self._torn = b"\n" if data else b""

    debug = info = warning = error = critical = exception = msg

    def _takes(self) -> bool:
        return any(event & select.POLLOUT for _, event in self._poll.poll(0))


def _unblocking(fd: int) -> int:
    """A descriptor for what `fd` shows that no write waits on. A terminal may say that it takes something and take less
    than a line; flags set on `fd` itself would be those of everybody who shares it."""
    try:
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return fd


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For who forgot: JSON escapes by itself, a console shows what it gets."""
    return {
        key: printable(value, limit=4096) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


class _Bunyan:
    """The event under bunyan's names."""

    def __init__(self) -> None:
        self._head = {"name": "medusa", "hostname": socket.gethostname(), "pid": os.getpid()}

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        level = BUNYAN_LEVELS[event.pop("level")]
        return {**self._head, "level": level, "msg": event.pop("event"), **event, "v": 0}
