"""Agents that other reflectors forward here, after they have admitted them, for sessions of this reflector.

Such a request begins with the forwarding reflector's own head, whose path names the session. After that comes the
peer's own request or greeting, which is answered as if the peer itself were connected here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.protocol.raw.greeting import build_refusal, parse_greeting
from medusa.reflector.cluster.peer_auth import FORWARD_HEADER, BadProof, Origin, PeerAuth
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission import Doors
from medusa.reflector.fronts.http_front import hang_up, host_port
from medusa.reflector.fronts.raw_front import adopt, read_greeting, tell
from medusa.reflector.net.listen import RAW
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.refusal import NOTHING_HERE, Refusal
from medusa.reflector.session_name import SessionName, parse_path
from medusa.session import Side
from medusa.transports.relayed import RelayedTransport
from medusa.transports.tls import RECORD

if TYPE_CHECKING:
    from medusa.reflector.fronts.http_front import Handler

log = structlog.get_logger(component="forward_in")


class ForwardIn:
    """Checks and attaches them. `scratch`: see RelayedTransport."""

    def __init__(self, auth: PeerAuth, doors: Doors, config: ReflectorConfig, scratch: memoryview) -> None:
        self._auth = auth
        self._doors = doors
        self._config = config
        self._scratch = scratch

    def enter(self, handler: Handler, upgrade: Callable[[], RelayedTransport]) -> None:
        """Attach the peer whose connection is forwarded through this one.

        A peer of raw TCP gets its answer here; for one of HTTP, the caller answers what is raised.

        Args:
            upgrade: answers the peer's own request with 101 and makes its transport; for HTTP only.

        Raises:
            HandshakeError, Refusal
        """
        assert handler.request is not None
        target = handler.request.target
        named = parse_path(target)
        try:
            proof = handler.request.headers.get(FORWARD_HEADER.lower()) or ""
            origin = self._auth.read_forward(proof)
            if named is None or named[1] is not Side.AGENT:
                raise BadProof("not for an agent of a session")
            if origin.kind == RAW:
                self._enter_raw(handler, named[0], origin, proof)
                return
            handler.read_next()
            self._auth.check_forward(proof, target, handler.head)
        except BadProof as error:
            log.warning("carried request refused", client=handler.peer, reason=str(error))
            raise Refusal(404, NOTHING_HERE) from None
        self._take_place(handler, origin)
        self._doors.enter_carried(named[0], handler.peer, upgrade)

    def _take_place(self, handler: Handler, origin: Origin) -> None:
        """From here on the handler stands for the forwarded peer.

        Raises:
            HandshakeError: the forwarding reflector has hung up. This process may have been suspended, and a peer that
                waits no longer must not take the agent's place in the session.
        """
        if hung_up(handler.socket.fileno()):
            raise HandshakeError(400, "the reflector that forwarded this has given up")
        handler.client_address = (origin.host, origin.port)

    def _enter_raw(self, handler: Handler, name: SessionName, origin: Origin, proof: str) -> None:
        assert handler.request is not None
        begun = time.monotonic()
        found = read_greeting(
            handler.socket, handler.rest, lambda: handler.socket.recv(RECORD), self._config.timeouts.head_timeout
        )
        if found is None:
            raise HandshakeError(400, "no greeting")
        self._auth.check_forward(proof, handler.request.target, found.line)
        greeting = parse_greeting(found.line)
        self._take_place(handler, origin)

        def accept() -> RelayedTransport:
            tell(greeting, Side.AGENT, handler.socket)
            return adopt(greeting, handler.take_socket()[0], found, self._config.max_message, self._scratch)

        try:
            self._doors.enter_carried(name, host_port(handler.client_address), accept)
        except (HandshakeError, Refusal) as error:
            refused = Refusal.of(error)
            log.info(
                "greeting refused", client=handler.peer, status=refused.status, reason=printable(refused.log_words)
            )
            if refused.secret:
                self._doors.hold_back(begun)
            handler.socket.sendall(build_refusal(refused.status, refused.words))
            hang_up(handler.socket, self._config.timeouts.linger_timeout)
            handler.socket = None
