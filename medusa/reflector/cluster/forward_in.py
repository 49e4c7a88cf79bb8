"""What other reflectors carry here: agents that they have judged, for sessions that live here.

A request of theirs is a head of their own, whose path names the session, and behind it the peer's own request or
greeting, which is answered as if the peer had come by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.protocol.raw.greeting import build_refusal, parse_greeting
from medusa.reflector.cluster.peer_auth import HEADER, Forged, Note, Site
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.fronts.admission import Doors
from medusa.reflector.fronts.http_front import hang_up, host_port
from medusa.reflector.fronts.raw_front import adopt, read_greeting, tell
from medusa.reflector.net.listen import RAW
from medusa.reflector.net.sockets import hung_up
from medusa.reflector.refusal import NOTHING_HERE, Refusal
from medusa.reflector.session_name import SessionName, named_by
from medusa.session import Side
from medusa.transports.relayed import RelayedTransport
from medusa.transports.tls import RECORD

if TYPE_CHECKING:
    from medusa.reflector.fronts.http_front import Handler

log = structlog.get_logger(component="carried")


class Carried:
    """`scratch`: for the links."""

    def __init__(self, site: Site, doors: Doors, config: ReflectorConfig, scratch: memoryview) -> None:
        self._site = site
        self._doors = doors
        self._config = config
        self._scratch = scratch

    def enter(self, handler: Handler, upgrade: Callable[[], RelayedTransport]) -> None:
        """Attach the peer that is carried on this connection. `upgrade`: answers and takes one that speaks HTTP.

        Raises:
            HandshakeError, Refusal: where it is HTTP that is to be answered.
        """
        assert handler.request is not None
        target = handler.request.target
        named = named_by(target)
        try:
            proof = handler.request.headers.get(HEADER.lower()) or ""
            note = self._site.read(proof)
            if named is None or named[1] is not Side.AGENT:
                raise Forged("not for an agent of a session")
            if note.kind == RAW:
                self._enter_raw(handler, named[0], note, proof)
                return
            handler.read_next()
            self._site.check(proof, target, handler.head)
        except Forged as error:
            log.warning("carried request refused", client=handler.peer, reason=str(error))
            raise Refusal(404, NOTHING_HERE) from None
        self._board(handler, note)
        self._doors.enter_carried(named[0], handler.peer, upgrade)

    def _board(self, handler: Handler, note: Note) -> None:
        """The peer takes the place of who carried it, if that has waited for so long: this process may have stood
        still, and who has given up must not take an agent's place."""
        if hung_up(handler.socket.fileno()):
            raise HandshakeError(400, "whoever carried this has given up")
        handler.client_address = (note.host, note.port)

    def _enter_raw(self, handler: Handler, name: SessionName, note: Note, proof: str) -> None:
        assert handler.request is not None
        begun = time.monotonic()
        found = read_greeting(
            handler.socket, handler.rest, lambda: handler.socket.recv(RECORD), self._config.timeouts.head_timeout
        )
        if found is None:
            raise HandshakeError(400, "no greeting")
        self._site.check(proof, handler.request.target, found.line)
        greeting = parse_greeting(found.line)
        self._board(handler, note)

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
