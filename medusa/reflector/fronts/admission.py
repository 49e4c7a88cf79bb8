"""Admission: may this peer attach to this session, and the attaching itself, whatever protocol the peer speaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import gevent
import structlog

from medusa.directory import DirectoryError, Owner
from medusa.reflector.auth.authenticator import Authenticator, Grant, unknown, used_before
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.refusal import Refusal, directory_away
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims import Claims
from medusa.reflector.sessions.limits import LogLimiter
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input, Side
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="doors")

_NO_SUCH_SESSION = "signed, but there is no such session"

Accept = Callable[[], RelayedTransport]
"""Tells the peer that it is accepted, and makes its link; called when the peer's place in the session is reserved."""


class Forwarder(Protocol):
    """The way to the other reflectors of the site."""

    def forward(self, accepted: Accepted, owner: Owner, name: SessionName) -> Refusal | None:
        """Give an agent's connection to the owner of its session; see medusa.reflector.cluster.forward_out."""


class Admission:
    """Of one reflector, for both fronts.

    Args:
        authenticator: None if there are no accounts.
        forwarder: None if no other reflector shares the directory.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        registry: Registry,
        authenticator: Authenticator | None,
        forwarder: Forwarder | None = None,
        *,
        claims: Claims,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._registry = registry
        self._authenticator = authenticator
        self._forwarder = forwarder
        self._claims = claims
        self._metrics = metrics
        self._log_limiter = LogLimiter(config.timeouts.refusal_log_rate)

    def note(self, refused: Refusal) -> dict[str, int] | None:
        """Count a refusal. Returns fields to add to its line in the log; None if the line is to be left out."""
        self._metrics.refused(refused.status)
        return self._log_limiter.fields() if refused.limited else {}

    def hold_back(self, begun: float) -> None:
        """Wait until the time of an answer to a request of time.monotonic() `begun` tells nothing."""
        gevent.sleep(max(0.0, begun + self._config.timeouts.refusal_delay - time.monotonic()))

    def count(self, source: str | None) -> None:
        """Count a request to attach, before anything else is checked. Raises Refusal, 429."""
        self._registry.connect(source=source)

    def enter_signed(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Like `enter`, but first authenticate the connection's request.

        Call after access.check for Resource.SIGNED_ATTACH.
        """
        authenticator = self._authenticator
        assert accepted.request is not None
        assert authenticator is not None
        grant = authenticator.check(accepted.request, name, side)
        self._registry.connect(login=name.login)
        self.spend(authenticator, grant)
        client = accepted.client
        try:
            refusal = self.enter(accepted, name, side, accept)
        except BaseException as error:
            self._give_back(authenticator, grant)
            if isinstance(error, Refusal) and error.status == 404:
                raise unknown(_NO_SUCH_SESSION) from None
            raise
        if refusal is not None:
            self._give_back(authenticator, grant)
            return unknown(_NO_SUCH_SESSION) if refusal.status == 404 else refusal
        _log_attached(name, side, client, grant)
        return None

    def enter_forwarded(self, accepted: Accepted, name: SessionName, accept: Accept) -> None:
        """Attach an agent that another reflector has admitted and counted. It is not forwarded once more.

        Raises what `enter` raises.
        """
        try:
            self._attach(accepted, name, Side.AGENT, accept)
        except Refusal as error:
            if name.login and error.status == 404:
                raise unknown("carried, but there is no such session") from None
            raise

    def enter(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Attach a peer that may attach. A client begins a session here; an agent goes to where its session lives.

        Returns the refusal with which another reflector has answered the peer, for the log; else None.

        Raises:
            Refusal: nothing was answered yet.
            Exception: what `accept` raises.
        """
        if self._forwarder is not None and side is Side.AGENT:
            owner = self._registry.elsewhere(name)
            if owner is not None:
                return self._forwarder.forward(accepted, owner, name)
        self._attach(accepted, name, side, accept)
        return None

    def _attach(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> None:
        client = accepted.client
        if side is Side.CLIENT:
            session = self._registry.open(name, client, accepted.source)
        else:
            session = self._registry.join(name)
        try:
            transport = accept()
        except BaseException:
            session.tell(Input.CLIENT_REFUSED if side is Side.CLIENT else Input.AGENT_REFUSED)
            raise
        session.attach(side, transport, client)

    def spend(self, authenticator: Authenticator, grant: Grant) -> None:
        """Use up a signature: here, and at all reflectors that share the directory.

        Raises:
            Refusal: 403 it was used before, 503 the directory does not answer.
        """
        authenticator.nonces.use(grant.digest, grant.until)
        try:
            if self._claims.spend(grant.digest.hex(), max(1.0, grant.until - time.time())):
                return
        except DirectoryError:
            authenticator.nonces.give_back(grant.digest)
            raise directory_away() from None
        raise used_before()

    def _give_back(self, authenticator: Authenticator, grant: Grant) -> None:
        """The signature was not used after all."""
        authenticator.nonces.give_back(grant.digest)
        self._claims.give_back(grant.digest.hex())


def _log_attached(name: SessionName, side: Side, address: str, grant: Grant) -> None:
    key = {"login": name.login, "user": grant.key_id.user, "key": grant.key_id.fingerprint}
    log.info("attached", client=address, session=name.session_id, side=side.value, **key)
