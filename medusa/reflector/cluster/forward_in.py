"""Attaches peers that other reflectors forward here, because this reflector owns their sessions.

A peer is an agent, or a client that joins a session. The other reflector has admitted the peer. It sends a request head
of its own, and the path in this head names the session. After that it sends the peer's own request or greeting. The
peer gets the same answer as if it had connected here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from medusa.directory import Owner
from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.protocol.raw.greeting import Plain, build_refusal, parse_greeting
from medusa.reflector.auth.single_use import ReservedMark
from medusa.reflector.cluster.peer_auth import FORWARD_HEADER, BadProof, Origin, PeerAuth
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission.admission import Admission
from medusa.reflector.fronts.raw_front import accept_greeting, greeting_timeout, read_greeting, request_of
from medusa.reflector.fronts.request_head import head_timeout, parse_head, read_head
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import source_of
from medusa.reflector.net.listen import RAW
from medusa.reflector.net.sockets import hang_up, hung_up
from medusa.reflector.refusal import NOTHING_HERE, Refusal
from medusa.reflector.session_name import SessionName, parse_path
from medusa.reflector.tickets.desk import PRIVATE_DOOR
from medusa.session import Side
from medusa.transports.relayed import RelayedTransport

log = structlog.get_logger(component="forward_in")


class ForwardIn:
    """Handles connections that other reflectors forward: checks the connections, and attaches the peers.

    Args:
        owner: this reflector, as the directory names it.
        scratch: the buffer that links read into; see RelayedTransport.
    """

    def __init__(
        self, auth: PeerAuth, admission: Admission, config: ReflectorConfig, owner: Owner, scratch: memoryview
    ) -> None:
        self._auth = auth
        self._owner = owner
        self._admission = admission
        self._config = config
        self._scratch = scratch

    def enter(self, accepted: Accepted, upgrade: Callable[[], RelayedTransport]) -> None:
        """Attaches a peer whose bytes another reflector forwards over the connection `accepted`.

        If a peer that speaks raw TCP is refused, this method sends the refusal itself.

        Args:
            upgrade: answers the peer's own request with 101, and returns the peer's transport. Called only for a peer
                that speaks HTTP.

        Raises:
            HandshakeError, Refusal: the request of the other reflector is refused, or a peer that speaks HTTP is
                refused. The caller has to send the answer.
        """
        assert accepted.request is not None
        target, proof = accepted.request.target, accepted.request.headers.get(FORWARD_HEADER.lower()) or ""
        named = parse_path(target)
        accepted.private = accepted.request.headers.get(PRIVATE_DOOR.lower()) == "1"
        try:
            origin, reserved = self._auth.read_forward(proof)
            if named is None:
                raise BadProof("not for a session")
            accepted.unwrap()
            if origin.kind == RAW:
                self._enter_raw(accepted, named, origin, reserved, (proof, target))
                return
            with head_timeout(self._config.timeouts.head_timeout, 400):
                if not read_head(accepted):
                    raise HandshakeError(400, "no request")
            parse_head(accepted, self._config)
            self._auth.check_forward(proof, target, accepted.head, self._owner.address)
        except BadProof as error:
            more = self._admission.refusals.fields("carried", accepted.host)
            if more is not None:
                log.warning("carried request refused", client=accepted.client, reason=str(error), **more)
            self._admission.count(accepted.source)
            raise Refusal(404, NOTHING_HERE) from None
        self._take_place(accepted, origin)
        self._admission.enter_forwarded(accepted, *named, upgrade, reserved)

    def _enter_raw(
        self,
        accepted: Accepted,
        named: tuple[SessionName, Side],
        origin: Origin,
        reserved: ReservedMark | None,
        signed: tuple[str, str],
    ) -> None:
        begun = time.monotonic()
        with greeting_timeout(self._config.timeouts.head_timeout):
            if not read_greeting(accepted):
                raise HandshakeError(400, "no greeting")
        self._auth.check_forward(*signed, accepted.head, self._owner.address)
        greeting = parse_greeting(accepted.head)
        accepted.plain, accepted.request = isinstance(greeting, Plain), request_of(greeting)
        self._take_place(accepted, origin)

        def accept() -> RelayedTransport:
            return accept_greeting(greeting, named[1], accepted, self._config.max_message, self._scratch)

        try:
            self._admission.enter_forwarded(accepted, *named, accept, reserved)
        except (HandshakeError, Refusal) as error:
            refused = Refusal.of(error)
            more = self._admission.refusals.note(refused.status, accepted.host)
            if more is not None:
                line = {"status": refused.status, "reason": printable(refused.log_words), **more}
                log.info("greeting refused", client=accepted.client, **line)
            if refused.secret:
                self._admission.hold_back(begun)
            accepted.sock.sendall(build_refusal(refused.status, refused.words))
            hang_up(accepted.sock, self._config.timeouts.linger_timeout)
            accepted.sock = None

    def _take_place(self, accepted: Accepted, origin: Origin) -> None:
        """Sets the connection's address to that of the forwarded peer, as if the peer had connected here.

        Call this after the other reflector's proof was checked, because from now on the peer counts as identified.

        Raises:
            HandshakeError: the other reflector has hung up, so the peer must not join the session. This may happen if
                this process was suspended for some time.
        """
        accepted.identified()
        if hung_up(accepted.sock.fileno()):
            raise HandshakeError(400, "the reflector that forwarded this has given up")
        accepted.address, accepted.forwarded_for = (origin.host, origin.port), None
        accepted.forwarded = True
        accepted.source = source_of(accepted.host, self._config)
