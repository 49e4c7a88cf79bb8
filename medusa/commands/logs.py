"""Logging of the server: structured events on stderr, as bunyan's JSON lines or for a console."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

FORMATS = ("json", "console")
LEVELS = ("debug", "info", "warning", "error")

BUNYAN_LEVELS = {"debug": 20, "info": 30, "warning": 40, "error": 50, "critical": 60, "exception": 50}
"""Bunyan's numbers, so that its tools (and those of Manta's operators) read these lines."""


def configure(log_format: str, level: str) -> None:
    """Set the process's structlog up. `log_format` and `level` are of FORMATS and LEVELS."""
    shared: list[Any] = [structlog.processors.add_log_level, structlog.processors.format_exc_info]
    if log_format == "json":
        tail: list[Any] = [_bunyan, structlog.processors.JSONRenderer()]
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"))
    else:
        tail = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        shared.append(structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False))
    structlog.configure(
        processors=shared + tail,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def _bunyan(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    level = BUNYAN_LEVELS[event.pop("level")]
    head = {"name": "medusa", "hostname": socket.gethostname(), "pid": os.getpid(), "level": level}
    return {**head, "msg": event.pop("event"), **event, "v": 0}
