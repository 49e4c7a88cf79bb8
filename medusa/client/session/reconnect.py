"""The user's side attaches: once before the job runs, and again where a link does not live until that has its turn."""

from __future__ import annotations

import select
import socket
import time

from medusa.client.session.session_url import TAKEN, SessionUrl
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.transports.base import Transport
from medusa.transports.connect import connect, upgrade
from medusa.transports.dial import CONNECT_TIMEOUT, ConnectRefused, parse_url


class Dialer:
    """`embedded`: the reflector is mlogin's own, on loopback."""

    def __init__(
        self,
        url: SessionUrl,
        signals: Signals,
        insecure_tls: bool,
        *,
        embedded: bool,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self._url = url
        self._signals = signals
        self._insecure_tls = insecure_tls
        self.embedded = embedded
        self._timeouts = timeouts

    def connect(self) -> Transport:
        """Raises Failure, with what can be done about it."""
        try:
            return self._dial()
        except ConnectRefused as error:
            raise self._url.refused(error) from error

    def reconnect(self) -> Transport:
        """Tries for `reconnect_timeout`, with `reconnect_interval` before each try. Raises Failure."""
        deadline = time.monotonic() + self._timeouts.reconnect_timeout
        while True:
            self._pause()
            try:
                return self._dial()
            except ConnectRefused as error:
                if not (error.retryable or error.status == TAKEN) or time.monotonic() >= deadline:
                    raise self._url.refused(error) from error

    def _dial(self) -> Transport:
        with self._signals.interruptible(), self._signals.stoppable():
            url, headers = self._url.client_url()
            if not self.embedded:
                return connect(url, insecure_tls=self._insecure_tls, timeout=CONNECT_TIMEOUT, headers=headers)
            # No proxy leads to our own loopback.
            target = parse_url(url)
            try:
                sock = socket.create_connection((target.host, target.port), CONNECT_TIMEOUT)
            except OSError as error:
                raise ConnectRefused(str(error)) from error
            return upgrade(sock, target.netloc, target.target, time.monotonic() + CONNECT_TIMEOUT)

    def _pause(self) -> None:
        deadline = time.monotonic() + self._timeouts.reconnect_interval
        while (left := deadline - time.monotonic()) > 0:
            poller = select.poll()
            poller.register(self._signals, select.POLLIN)
            poller.poll(left * 1000)
            self._signals.take_or_raise()
