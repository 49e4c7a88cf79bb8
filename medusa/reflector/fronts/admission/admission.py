"""Decides whether a peer may attach to a session, and attaches the peer. The servers for HTTP and raw TCP use it."""

from __future__ import annotations

import time

import gevent
import structlog

from medusa.reflector.auth.authenticator import Authenticator, Grant
from medusa.reflector.auth.denials import unknown
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.auth.single_use import ReservedMark, SingleUse
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.by_ticket import ByTicket
from medusa.reflector.fronts.admission.entrance import Accept, Entrance, Forwarder, Right
from medusa.reflector.fronts.refusal_log import RefusalLog
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.owners import Elsewhere
from medusa.reflector.sessions.registry import Registry
from medusa.session import Side

log = structlog.get_logger(component="doors")

_NO_SUCH_SESSION = "signed, but there is no such session"


class Admission:
    """Admits peers to the sessions of one reflector. The servers for HTTP and raw TCP use it.

    Args:
        authenticator: checks the signatures of requests. None if there are no accounts.
        forwarder: forwards peers to other reflectors. None if no other reflector shares the directory.

    Attributes:
        single_use: the signatures that were used.
        desk: gives and checks tickets, by which peers come back.
        refusals: limits the number of log lines about peers that are refused.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        registry: Registry,
        authenticator: Authenticator | None,
        forwarder: Forwarder | None = None,
        *,
        claims: Claims,
        refusals: RefusalLog,
    ) -> None:
        self._config = config
        self._registry = registry
        self._authenticator = authenticator
        nonces = ReplayCache(time.time) if authenticator is None else authenticator.nonces
        self.single_use = SingleUse(nonces, claims.marks, time.time)
        self.refusals = refusals
        self.desk = registry.desk
        self._by_ticket = ByTicket(registry, authenticator, self.count)
        self._entrance = Entrance(config, registry, self._by_ticket, forwarder)

    def hold_back(self, begun: float) -> None:
        """Waits before a refusal is sent. The time from the request to the refusal is then the same for every reason.

        So the peer cannot learn the reason from this time. `begun`: the value of time.monotonic() when the request
        came.
        """
        gevent.sleep(max(0.0, begun + self._config.timeouts.refusal_delay - time.monotonic()))

    def count(self, source: str | None, side: Side = Side.CLIENT) -> None:
        """Counts a request to attach. Call this before other checks. Raises Refusal (429) if there were too many.

        Args:
            source: the key of the client's address. The limit holds for each key. If None, nothing is counted.
            side: the side of the session to which the peer wants to attach: client or agent.
        """
        self._registry.connect(source=source, side=side)

    def count_attach(self, accepted: Accepted, side: Side) -> None:
        """Counts a request to attach. Does nothing if the peer shows a ticket, because the ticket's check counts it."""
        if accepted.ticket is None:
            self.count(accepted.source, side)

    def count_login(self, login: str) -> None:
        """Counts a signed request about the sessions of a login. Raises Refusal (429) if there were too many."""
        self._registry.connect(proved=SessionName("", login))

    def enter_signed(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Checks the signature of a request to attach, then does the same as `enter`. Returns what `enter` returns.

        Call access.check for Resource.SIGNED_ATTACH first.

        Two kinds of peer need no signature. A peer that comes back shows a ticket. An agent that was called for one
        more client sends a secret value, which only the agent of the session knows.

        Raises:
            Refusal: the signature does not allow the peer to attach to the session, or `enter` refuses the peer.
            Exception: what `accept` raises.
        """
        if accepted.ticket is not None or (side is Side.AGENT and accepted.leg):
            return self.enter(accepted, name, side, accept)
        authenticator = self._authenticator
        assert accepted.request is not None
        assert authenticator is not None
        grant = authenticator.check(accepted.request, name, side)
        self._registry.connect(proved=name, side=side)
        reservation, client = self.single_use.reserve(grant), accepted.client
        try:
            refusal = self._entrance.enter(accepted, name, side, accept, reservation)
        except BaseException as error:
            reservation.give_back()
            if isinstance(error, Refusal) and error.status == 404:
                raise unknown(_NO_SUCH_SESSION) from None
            raise
        if refusal is not None:
            reservation.give_back()
            return unknown(_NO_SUCH_SESSION) if refusal.status == 404 else refusal
        _log_attached(name, side, client, grant)
        return None

    def enter_forwarded(
        self, accepted: Accepted, name: SessionName, side: Side, accept: Accept, reserved: ReservedMark | None
    ) -> None:
        """Attaches a peer that another reflector has admitted and counted. Does not forward the peer again.

        A client that would begin a new session here is refused. It may begin one only in the reflector to which it has
        connected.

        Args:
            accept: tells the peer that it is accepted, and returns the peer's transport.
            reserved: the other reflector's reservation of the peer's signature. None if the peer needs no signature.

        Raises:
            Refusal: the peer is refused, and has received no answer yet.
            Exception: what `accept` raises.
        """
        reservation = None if reserved is None else self.single_use.adopt(reserved)
        try:
            right: Right = reservation
            if accepted.ticket is not None:
                right = self._by_ticket.check(accepted, name, side)
            elif name.login and reserved is None and not accepted.leg:
                raise Refusal(404, "there is no such session")
            elif self._entrance.opens(accepted, name, side):
                raise Refusal(503, "the session has just ended in another reflector", retry_after=1)
            self._entrance.attach(accepted, name, side, accept, right)
        except Elsewhere:
            raise Refusal(503, "the session is moving to another reflector", retry_after=1) from None
        except BaseException as error:
            if reservation is not None:
                reservation.give_back()
            if isinstance(error, Refusal) and name.login and error.status == 404:
                raise unknown("carried, but there is no such session") from None
            raise

    def enter(self, accepted: Accepted, name: SessionName, side: Side, accept: Accept) -> Refusal | None:
        """Attaches a peer that has passed the checks, or forwards it to the reflector that owns the session.

        A client may also begin a new session in this reflector.

        Returns None if the peer was attached or forwarded. If the other reflector has refused the peer and has sent the
        answer, returns the refusal, for the log only.

        Args:
            accept: tells the peer that it is accepted, and returns the peer's transport.

        Raises:
            Refusal: the peer is refused, and has received no answer yet.
            Exception: what `accept` raises.
        """
        right = None if accepted.ticket is None else self._by_ticket.check(accepted, name, side)
        return self._entrance.enter(accepted, name, side, accept, right)


def _log_attached(name: SessionName, side: Side, address: str, grant: Grant) -> None:
    key = {"login": name.login, "user": grant.key_id.user, "key": grant.key_id.fingerprint}
    log.info("attached", client=address, session=name.session_id, side=side.value, **key)
