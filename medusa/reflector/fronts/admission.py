"""The doors: who may attach to what, and the attaching, whatever the peer speaks. Refusals carry HTTP statuses."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import gevent
import structlog

from medusa.directory import DirectoryError
from medusa.protocol.http.head import Request
from medusa.reflector.auth.authenticator import Authenticator, Grant, denied, unknown, used_before
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.client_address import is_loopback
from medusa.reflector.refusal import NOTHING_HERE, Refusal, directory_away
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims import Claims
from medusa.reflector.sessions.limits import LogLimiter
from medusa.reflector.sessions.registry import Registry
from medusa.session import Input, Side
from medusa.transports.relayed import RelayedTransport

if TYPE_CHECKING:
    from medusa.reflector.cluster.forward_out import ForwardOut, Traveller

log = structlog.get_logger(component="doors")

_NO_SUCH_SESSION = "signed, but there is no such session"

_FORWARDED = re.compile(r"(?:forwarded|via|x-forwarded-.*|x-real-ip|x-client-ip|cf-connecting-ip|true-client-ip)\Z")
"""What a proxy adds: a request with any of these does not come from this host, wherever its connection does."""


class Client(NamedTuple):
    """Who is at the other end: `address` for the log; `source`: under what it is counted, None for not at all."""

    address: str
    source: str | None


class Doors:
    """Both doors of one reflector. `upstream`: the way to others that share the directory, if any may."""

    def __init__(
        self,
        config: ReflectorConfig,
        registry: Registry,
        authenticator: Authenticator | None,
        upstream: ForwardOut | None = None,
        *,
        claims: Claims,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._registry = registry
        self._authenticator = authenticator
        self._upstream = upstream
        self._claims = claims
        self._metrics = metrics
        self._log_limiter = LogLimiter(config.timeouts.refusal_log_rate)

    def note(self, refused: Refusal) -> dict[str, int] | None:
        """Count a refusal; returns what to add to its line in the log, None where a flood's is left out."""
        self._metrics.refused(refused.status)
        return self._log_limiter.fields() if refused.limited else {}

    def hold_back(self, begun: float) -> None:
        """Wait until the time of an answer to a request of time.monotonic() `begun` tells nothing."""
        gevent.sleep(max(0.0, begun + self._config.timeouts.refusal_delay - time.monotonic()))

    def count(self, source: str | None) -> None:
        """Somebody wants to attach, from where `source` says; before he is judged. Raises Refusal."""
        self._registry.connect(source=source)

    def check_internal(self, host: str, headers: Iterable[tuple[str, str]], *, proxied: bool = False) -> None:
        """The internal door asks nobody who he is.

        Args:
            host: the peer's IP address.
            proxied: a PROXY header says that it is somebody else, whatever address it tells.

        Raises:
            Refusal
        """
        if self._config.front_door_only:
            raise Refusal(404, NOTHING_HERE)
        if self._config.trusted_network:
            return
        if proxied or not is_loopback(host) or any(_FORWARDED.match(name) for name, _ in headers):
            raise Refusal(403, "this is served on loopback only, or with --trusted-network")

    def check_unsigned(self, host: str, *, proxied: bool = False) -> None:
        """The internal door of raw TCP. No header would tell of a forwarder on this host, so where there are accounts,
        loopback is no proof. Raises Refusal."""
        if self._authenticator is not None and not (self._config.trusted_network or self._config.front_door_only):
            raise denied(401, "a pre-signed URL is needed")
        self.check_internal(host, (), proxied=proxied)

    def check_front(self) -> Authenticator:
        """The judge of the front door. Raises Refusal: there is none."""
        if self._authenticator is None:
            raise Refusal(404, "this reflector has no accounts: attach without one, or start it with --accounts")
        return self._authenticator

    def enter_signed(
        self,
        request: Request,
        name: SessionName,
        side: Side,
        client: Client,
        accept: Callable[[], RelayedTransport],
        traveller: Traveller,
    ) -> Refusal | None:
        """Like `enter`, but first authenticate `request`."""
        authenticator = self.check_front()
        grant = authenticator.check(request, name, side)
        self._registry.connect(login=name.login)
        self.spend(authenticator, grant)
        try:
            refusal = self.enter(name, side, client, accept, traveller)
        except BaseException as error:
            self._give_back(authenticator, grant)
            if isinstance(error, Refusal) and error.status == 404:
                raise unknown(_NO_SUCH_SESSION) from None
            raise
        if refusal is not None:
            self._give_back(authenticator, grant)
            return unknown(_NO_SUCH_SESSION) if refusal.status == 404 else refusal
        _log_attached(name, side, client.address, grant)
        return None

    def enter_carried(self, name: SessionName, address: str, accept: Callable[[], RelayedTransport]) -> None:
        """As `enter`, for an agent that another reflector has judged and counted: it goes no further."""
        try:
            self.enter(name, Side.AGENT, Client(address, None), accept)
        except Refusal as error:
            if name.login and error.status == 404:
                raise unknown("carried, but there is no such session") from None
            raise

    def enter(
        self,
        name: SessionName,
        side: Side,
        client: Client,
        accept: Callable[[], RelayedTransport],
        traveller: Traveller | None = None,
    ) -> Refusal | None:
        """Attach a peer that may. A client's session begins here; an agent goes to where its session lives.

        Returns the refusal that another reflector has answered already, for the log; None if the peer is attached.

        Args:
            traveller: the connection, if it may be carried to another reflector.
            accept: tells the peer that it is let in, and makes its link; called when its place is kept.

        Raises:
            Refusal, and what `accept` raises.
        """
        if self._upstream is not None and traveller is not None and side is Side.AGENT:
            owner = self._registry.elsewhere(name)
            if owner is not None:
                return self._upstream.forward(traveller, owner, name)
        session = self._registry.open(name, *client) if side is Side.CLIENT else self._registry.join(name)
        try:
            transport = accept()
        except BaseException:
            session.tell(Input.CLIENT_REFUSED if side is Side.CLIENT else Input.AGENT_REFUSED)
            raise
        session.attach(side, transport, client.address)
        return None

    def _give_back(self, authenticator: Authenticator, grant: Grant) -> None:
        """The signature was not used after all."""
        authenticator.nonces.give_back(grant.digest)
        self._claims.give_back(grant.digest.hex())

    def spend(self, authenticator: Authenticator, grant: Grant) -> None:
        """The signature: here, and then at all reflectors that share the directory. Raises Refusal."""
        authenticator.nonces.use(grant.digest, grant.until)
        try:
            if self._claims.spend(grant.digest.hex(), max(1.0, grant.until - time.time())):
                return
        except DirectoryError:
            authenticator.nonces.give_back(grant.digest)
            raise directory_away() from None
        raise used_before()


def _log_attached(name: SessionName, side: Side, address: str, grant: Grant) -> None:
    who = {"login": name.login, "user": grant.key_id.user, "key": grant.key_id.fingerprint}
    log.info("attached", client=address, session=name.session_id, side=side.value, **who)
