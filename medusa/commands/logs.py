"""Logging of the server: structured events on stderr, as bunyan's JSON lines or for a console."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from medusa.protocol.printable import printable

FORMATS = ("json", "console")
LEVELS = ("debug", "info", "warning", "error")

BUNYAN_LEVELS = {"debug": 20, "info": 30, "warning": 40, "error": 50, "critical": 60, "exception": 50}
"""Bunyan's numbers, so that its tools (and those of Manta's operators) read these lines."""


def configure(log_format: str, level: str) -> None:
    """Set the process's structlog up. `log_format` and `level` are of FORMATS and LEVELS."""
    shared: list[Any] = [structlog.processors.add_log_level, structlog.processors.format_exc_info]
    if log_format == "json":
        tail: list[Any] = [_Bunyan(), structlog.processors.JSONRenderer()]
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"))
    else:
        tail = [_printable, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        shared.append(structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False))
    structlog.configure(
        processors=shared + tail,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=True,
    )


class _Stderr:
    """Writes an event's line. A log that nobody can take any more is no reason to refuse service."""

    def msg(self, line: str) -> None:
        """Any event, whatever its level."""
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            pass

    debug = info = warning = error = critical = exception = msg


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
