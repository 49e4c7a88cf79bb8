"""Dials the reflector for the user's side: before the job runs, and again if that link ends before the agent comes."""

from __future__ import annotations

import select
import socket
import time

from medusa.client.session.session_url import TAKEN, SessionUrl
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.transports.base import Transport
from medusa.transports.connect import connect, upgrade
from medusa.transports.dial import CONNECT_TIMEOUT, ConnectRefused, parse_url


class Dialer:
    """Makes transports to one session's client side.

    Attributes:
        url: of the session.
        embedded: the reflector is mlogin's own, on loopback.
    """

    def __init__(
        self,
        url: SessionUrl,
        signals: Signals,
        insecure_tls: bool,
        *,
        embedded: bool,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self.url = url
        self._signals = signals
        self._insecure_tls = insecure_tls
        self.embedded = embedded
        self._timeouts = timeouts
        self._poll = PollSet()

    def connect(self) -> Transport:
        """Dials once. Raises Failure, whose text says what the user can do about it; Interrupted."""
        try:
            return self._dial()
        except ConnectRefused as error:
            raise self.url.refused(error) from error

    def reconnect(self) -> Transport:
        """Dials for up to `reconnect_timeout` until a try succeeds, with `reconnect_interval` before each try.

        Call it after a link has ended. Raises Failure, also at once if the reflector refuses for good; Interrupted.
        """
        deadline = time.monotonic() + self._timeouts.reconnect_timeout
        while True:
            self._pause()
            try:
                return self._dial()
            except ConnectRefused as error:
                if not (error.retryable or error.status == TAKEN) or time.monotonic() >= deadline:
                    raise self.url.refused(error) from error

    def _dial(self) -> Transport:
        with self._signals.interruptible(), self._signals.stoppable():
            url, headers = self.url.client_url()
            if not self.embedded:
                return connect(url, insecure_tls=self._insecure_tls, timeout=CONNECT_TIMEOUT, headers=headers)
            # A proxy cannot reach this machine's loopback.
            target = parse_url(url)
            try:
                sock = socket.create_connection((target.host, target.port), CONNECT_TIMEOUT)
            except OSError as error:
                raise ConnectRefused(str(error)) from error
            return upgrade(sock, target.netloc, target.target, time.monotonic() + CONNECT_TIMEOUT)

    def _pause(self) -> None:
        deadline = time.monotonic() + self._timeouts.reconnect_interval
        while (left := deadline - time.monotonic()) > 0:
            self._poll.wait({self._signals.fileno(): select.POLLIN}, left)
            self._signals.take_or_raise()
