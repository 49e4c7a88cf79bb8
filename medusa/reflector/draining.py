"""Waiting for the last sessions, with a word now and then."""

from __future__ import annotations

import time

import structlog

from medusa.reflector.sessions.registry import Registry

log = structlog.get_logger(component="server")


def wait_for_sessions(registry: Registry, timeout: float, interval: float) -> None:
    """Until none is left, at the most `timeout` seconds; a line in the log every `interval` seconds."""
    deadline = time.monotonic() + timeout
    log.info("draining", sessions=len(registry.sessions()), timeout_s=timeout)
    while True:
        left = deadline - time.monotonic()
        registry.wait_until_empty(max(0.0, min(interval, left)))
        sessions, left = len(registry.sessions()), deadline - time.monotonic()
        if not sessions or left <= 0:
            return
        log.info("still draining", sessions=sessions, left_s=round(left, 1))
