"""Connects mlogin to the reflector, and connects it again after its link was lost."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from medusa.client.cleanup.farewell import Farewell
from medusa.client.outcome import Failure
from medusa.client.session.session_url import NOT_AUTHORISED, TAKEN, SessionUrl
from medusa.client.streams.lost_link.returning import Unsaid
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol import attach_path
from medusa.protocol.features import ABOUT, HEADER, HOLD, JOIN, KEPT, NOTICE, TICKET
from medusa.protocol.http import about
from medusa.protocol.http.own_header import Field, has_authorization
from medusa.protocol.record import replace
from medusa.transports.base import Transport
from medusa.transports.connect import connect, connect_steps
from medusa.transports.dial import CONNECT_TIMEOUT, ConnectRefused
from medusa.transports.dial.headers import NO_HEADERS, HeaderError, Headers
from medusa.transports.helper import ask_helper
from medusa.transports.steps import Steps

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

_FEATURES = f"{NOTICE},{HOLD}"
"""The features that mlogin understands. If the session is to end with its link, mlogin does not announce HOLD."""


class Dialer:
    """Connects mlogin to the reflector, as the client of one session.

    Args:
        headers: the header fields to send in addition. They are not sent to an embedded reflector.
        find_account: a function that returns the account, or raises Failure if the account has no key. It is called if
            the reflector refuses an unsigned request. From then on this account signs. None: requests are signed only
            if `url` has an account.

    Attributes:
        url: the session's URL.
        embedded: True if an mlogin of this user has started the reflector, which listens on loopback.
        sent_headers: the names and values of the user's own header fields that the last request had.
    """

    def __init__(
        self,
        url: SessionUrl,
        signals: Signals,
        insecure_tls: bool,
        *,
        embedded: bool,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        headers: Headers = NO_HEADERS,
        find_account: Callable[[], Account] | None = None,
    ) -> None:
        self.url = url
        holds = ((HEADER, _FEATURES), (KEPT, str(url.keep))) if url.keep else ((HEADER, NOTICE),)
        self._announced = (*holds, *([(JOIN, "1")] if url.joins else []))
        if url.name is not None:
            self._announced += ((ABOUT, about.build(about.About(name=url.name))),)
        self._headers = headers
        self.sent_headers: list[tuple[str, str]] = []
        self._find_account = find_account
        self._signals = signals
        self._insecure_tls = insecure_tls
        self.embedded = embedded
        self._timeouts = timeouts
        self._poll = PollSet()
        self._ticket: str | None = None
        self._signs = False

    def connect(
        self, waiting: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    ) -> Transport:
        """Attaches to the session, and returns the connection. If a key is refused, tries the account's next key.

        Args:
            waiting: a function that returns a context manager, which shows progress. It is not entered while the user
                is asked for a passphrase.

        Raises:
            Failure: the reflector refused, or cannot be reached. The text says what the user can do about it.
            Interrupted: a signal asked mlogin to end.
        """
        while True:
            try:
                with waiting():
                    transport = self._dial()
            except ConnectRefused as error:
                if error.status not in NOT_AUTHORISED or not self._sign_otherwise(error):
                    raise self.url.refused(error) from error
            else:
                if self.url.account is not None:
                    self.url.account.accepted()
                return transport

    # ------------------------------------------------------------------ coming back with a ticket

    @property
    def returns(self) -> bool:
        """True if mlogin can come back to the session after its link is lost.

        For that, mlogin needs a ticket, a secret that the reflector gives. If the reflector has refused the ticket,
        mlogin tries a signature instead.
        """
        return self._ticket is not None or self._signs

    def take_ticket(self, ticket: str) -> None:
        """Stores a new ticket in the place of the old one. It is kept in the memory of this process only.

        With a ticket, which the reflector gives, mlogin can come back after its link is lost.
        """
        self._ticket = ticket

    def refused(self) -> bool:
        """Drops the ticket, because the reflector has refused it. Returns False if there was no ticket to drop.

        The account signs the next attempt. If `url` has no account, the next attempt has no signature.
        """
        had, self._ticket = self._ticket, None
        self._signs = had is not None
        return self._signs

    def attempt(self, deadline: float) -> Steps[Transport]:
        """Makes one attempt to come back to the session, in steps that the caller carries out.

        The result of the steps is the connection. mlogin identifies itself by the ticket. If there is no ticket, it
        identifies itself by the account's signature.

        Args:
            deadline: the time, by time.monotonic(), at which the attempt is given up.

        Raises:
            ConnectRefused: the attempt has failed.
        """
        announced = dict(self._announced) | {JOIN: "1"}  # with its name: the reflector may have been restarted
        own = []
        if not self.embedded:
            try:
                own = yield from self._headers.read_steps(deadline)
            except HeaderError as error:
                raise ConnectRefused(str(error), retryable=error.retryable) from None
        url, headers = yield from self._address(own, deadline)
        transport = yield from connect_steps(
            url,
            deadline,
            insecure_tls=self._insecure_tls and not self.embedded,
            headers=[*headers, *own, *announced.items()],
            proxies=not self.embedded,
        )
        self._keep_ticket(transport)
        return transport

    def farewell(self, unsaid: Unsaid | None) -> Farewell | None:
        """Returns the record with which the guard process tells the agent what it may not know at mlogin's end.

        Returns None if mlogin has no ticket.

        Args:
            unsaid: what the agent may not know. None if the job is over: the record then tells the reflector that.
        """
        if self._ticket is None:
            return None
        path = self.url.base.rstrip("/") + self.url.path(attach_path.CLIENT)
        fields = [*self.sent_headers, (HEADER, _FEATURES), (JOIN, "1"), (TICKET, self._ticket)]
        insecure = self._insecure_tls and not self.embedded
        stream, received = ("", 0) if unsaid is None else (unsaid.offer.id, unsaid.offer.received)
        messages = [] if unsaid is None else [message.hex() for message in unsaid.messages]
        return Farewell(path, fields, stream, received, messages, insecure, embedded=self.embedded)

    def _address(self, own: Sequence[Field], deadline: float) -> Steps[tuple[str, Sequence[Field]]]:
        """Finds the URL and the header fields that identify mlogin as the session's client.

        Works in steps, which the caller carries out. The result of the steps is a pair: the URL and the fields.

        Args:
            own: the user's own header fields.
        """
        if self._ticket is not None:
            return self.url.base.rstrip("/") + self.url.path(attach_path.CLIENT), [(TICKET, self._ticket)]
        url, presigned = replace(self.url, joins=True), has_authorization(own)
        if url.account is None:
            return url.client_url()
        try:  # a helper process signs, because an ssh-agent may ask the user first
            signed = yield from ask_helper(lambda: url.client_url(presigned=presigned), deadline)
        except TimeoutError:
            raise ConnectRefused("the ssh-agent has not signed the request in time") from None
        if signed is None:
            raise ConnectRefused("the request could not be signed")
        return signed[0], [(name, value) for name, value in signed[1]]

    def _keep_ticket(self, transport: Transport) -> None:
        ticket = transport.answer.get(TICKET.lower())
        if ticket is not None:
            self._ticket = ticket

    def _sign_otherwise(self, refused: ConnectRefused) -> bool:
        """Decides how to sign the next request after the reflector has refused one. Returns False if no key is left.

        If the refused request was not signed, the account that `find_account` returns signs the next one. If it was
        signed, the same account signs the next one with its next key.

        Raises:
            Failure: the request was not signed, and the account has no key.
        """
        with self._signals.interruptible(), self._signals.asking():  # the user may be asked for a passphrase
            if self.url.account is not None:
                return self.url.account.another_key()
            if self._find_account is None:
                return False
            try:
                account = self._find_account()
            except Failure as failure:
                first, *more = str(self.url.refused(refused)).splitlines()
                lines = [first, *(more[:1] if self.url.joins else []), *(f"  {w}" for w in str(failure).splitlines())]
                raise Failure("\n".join(lines)) from refused
            self.url = replace(self.url, account=account, unsigned=str(refused))
            return True

    def reconnect(self) -> Transport:
        """Attaches again after a link has ended, and returns the new connection.

        Tries for up to `reconnect_timeout` seconds. Waits `reconnect_interval` seconds before each try, or for longer
        if the reflector asks for that by Retry-After. Both are in the timeouts.

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
                held = error.status == TAKEN and not self.url.joins  # perhaps by this mlogin's own link before
                if not (error.retryable or held) or left <= 0:
                    raise self.url.refused(error) from error
                pause = max(self._timeouts.reconnect_interval, min(error.retry_after, left))

    def _dial(self) -> Transport:
        transport = self._dial_once()
        self._ticket = None
        self._keep_ticket(transport)
        return transport

    def _dial_once(self) -> Transport:
        with self._signals.interruptible(), self._signals.stoppable():
            if not self.embedded:
                return self._connect()
            url, headers = self.url.client_url()
            # Use no HTTP proxy: a proxy cannot reach the loopback interface of this machine.
            return connect(url, timeout=CONNECT_TIMEOUT, headers=[*headers, *self._announced], proxies=False)

    def _connect(self) -> Transport:
        """Attaches, and announces the features of mlogin in a header field."""
        try:
            self.sent_headers = self._headers.read()
        except HeaderError as error:
            raise Failure(str(error)) from None
        url, headers = self.url.client_url(presigned=has_authorization(self.sent_headers))
        headers = [*headers, *self.sent_headers, *self._announced]
        return connect(url, insecure_tls=self._insecure_tls, timeout=CONNECT_TIMEOUT, headers=headers)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._poll.wait({self._signals.fileno(): select.POLLIN}, left)
            self._signals.take_or_raise()
