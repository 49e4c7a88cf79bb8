"""Limits the number of log lines about refusals in a minute: for each kind and peer address, and in all."""

from __future__ import annotations

import time
from collections.abc import Callable

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.client_address import site
from medusa.reflector.sessions.limits import RateLimits

_ALL = ""


class RefusalLog:
    """Limits the number of log lines of one process about refusals.

    If lines were left out, the next line says how many.
    """

    def __init__(self, config: ReflectorConfig, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._by_source = RateLimits(config.timeouts.refusal_log_rate, clock)
        self._in_all = RateLimits(config.timeouts.refusal_log_rate_in_all, clock)
        self._left_out = 0

    def note(self, status: int, host: str) -> dict[str, int] | None:
        """Counts a refusal in the metrics, and says whether to log it. Call this once for each refusal.

        Returns fields to add to the log line, or None if the line must be left out.

        `status`: the refusal's HTTP status. `host`: the IP address of the peer.
        """
        self._metrics.refused(status)
        return self.fields(str(status), host)

    def fields(self, kind: str, host: str) -> dict[str, int] | None:
        """Says whether to write a log line. Call this once before each log line about something that was refused.

        Returns fields to add to the log line, or None if the line must be left out.

        Args:
            kind: the status of the refusal, or a word that names the event which the line is about.
            host: the IP address of the peer. All addresses of one IPv6 /64 network count as one.
        """
        if self._by_source.take("%s %s" % (kind, site(host))) or self._in_all.take(_ALL):
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return {"left_out": left_out} if left_out else {}
