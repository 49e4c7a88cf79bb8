"""Connects mlogin to the reflector before the job runs, and again if that link ends before the agent attaches."""

from __future__ import annotations

import select
import time

from medusa.client.session.session_url import TAKEN, SessionUrl
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.features import HEADER, NOTICE
from medusa.transports.base import Transport
from medusa.transports.connect import connect, upgrade
from medusa.transports.dial import CONNECT_TIMEOUT, ConnectRefused, is_raw, parse_url
from medusa.transports.dial.tcp import connect_tcp

ANNOUNCED = ((HEADER, NOTICE),)
"""The header field of mlogin's request that says what it understands."""

UNKNOWN_GREETING = 400
"""The status with which a raw port refuses a greeting of another form."""


class Dialer:
    """A maker of connections to the reflector, by which mlogin attaches to one session as its client.

    Attributes:
        url: the session's URL.
        embedded: True if the reflector was started by this mlogin, and listens on loopback.
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
        """Tries once to attach, and returns the connection.

        Raises:
            Failure: the try failed. The text says what the user can do about it.
            Interrupted: a signal asked mlogin to end.
        """
        try:
            return self._dial()
        except ConnectRefused as error:
            raise self.url.refused(error) from error

    def reconnect(self) -> Transport:
        """Attaches again after a link has ended, and returns the new connection.

        Tries for up to `reconnect_timeout`. Waits `reconnect_interval` before each try, or for longer if the reflector
        asks for that by Retry-After.

        Raises:
            Failure: `reconnect_timeout` has passed, or the reflector refused in a way that a retry cannot change.
            Interrupted: a signal asked mlogin to end.
        """
        deadline = time.monotonic() + self._timeouts.reconnect_timeout
        pause = self._timeouts.reconnect_interval
        while True:
            self._pause(pause)
            try:
                return self._dial()
            except ConnectRefused as error:
                left = deadline - time.monotonic()
                if not (error.retryable or error.status == TAKEN) or left <= 0:
                    raise self.url.refused(error) from error
                pause = max(self._timeouts.reconnect_interval, min(error.retry_after, left))

    def _dial(self) -> Transport:
        with self._signals.interruptible(), self._signals.stoppable():
            if not self.embedded:
                return self._connect()
            url, headers = self.url.client_url()
            # Use no HTTP proxy: a proxy cannot reach the loopback interface of this machine.
            target, deadline = parse_url(url), time.monotonic() + CONNECT_TIMEOUT
            sock = connect_tcp(target.host, target.port, deadline)
            headers = [*headers, *ANNOUNCED]
            return upgrade(sock, target.netloc, target.target, deadline, headers)

    def _connect(self) -> Transport:
        """Attaches, and announces the features of mlogin in a header field.

        The raw port of an older reflector refuses the header field with 400. In this case, attaches without it.
        """
        for announced in (ANNOUNCED, ()):
            url, headers = self.url.client_url()
            headers = [*headers, *announced]
            try:
                return connect(url, insecure_tls=self._insecure_tls, timeout=CONNECT_TIMEOUT, headers=headers)
            except ConnectRefused as error:
                if error.status != UNKNOWN_GREETING or not is_raw(url) or not announced:
                    raise
        raise AssertionError

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._poll.wait({self._signals.fileno(): select.POLLIN}, left)
            self._signals.take_or_raise()
