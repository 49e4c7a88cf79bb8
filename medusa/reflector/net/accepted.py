"""Defines the record of an accepted connection. The parts of the reflector pass it on until the peer is let in."""

from __future__ import annotations

import re
import socket
from typing import Any, Protocol

from medusa.protocol import features
from medusa.protocol.http.about import About
from medusa.protocol.http.about import parse as parse_about
from medusa.protocol.http.head import Request
from medusa.protocol.http.own_header import Field
from medusa.protocol.record import record
from medusa.protocol.resume.offer import KEEP, MAX_KEEP
from medusa.reflector.net.buffers.long_links import links as long_links
from medusa.reflector.net.sockets import host_port, ungreen
from medusa.transports.interfaces import Share
from medusa.transports.tls import RECORD, TlsSocket


class Startup(Protocol):
    """The interface of an object that counts one connection until the peer has identified itself."""

    def move(self, source: str | None, share: Share = ...) -> None:
        """Counts the connection under `source` from now on, because a proxy has named the client.

        Args:
            source: the key of the client's address; None not to count the connection under an address.
            share: the share of the memory budget in which the bytes held for the client are counted.
        """

    def hold(self, size: int) -> None:
        """Counts `size` more bytes that are kept for the peer. Raises HandshakeError (503) if they are too many."""

    def end(self) -> None:
        """Stops counting the connection. Idempotent."""


@record(frozen=False)
class Accepted:
    """The record of an accepted connection: its socket, its client's address, and the bytes read from it so far.

    Attributes:
        kind: the protocol of the connection: HTTP or RAW (medusa.reflector.net.listen).
        sock: gevent's socket, or a TlsSocket around it. None after `take`.
        address: the address of the client's socket: the peer's address, or the address that the peer's PROXY header
            names.
        proxied: True if a PROXY header says that the peer is a proxy for a client, even if the header has no address.
        data: all bytes read so far, decrypted and without a PROXY header. If another process takes over the connection,
            it parses these bytes again from the start.
        handed_over: True if another worker has accepted the connection and read `data`, and then handed the connection
            over to this worker.
        head: the head of the HTTP request, or the line of the raw greeting, without its line end.
        rest: the bytes that were read after the head.
        typed: True if a lone CR ended the greeting, as when a person presses Enter; see LineReader.
        plain: True if the peer uses raw TCP without frames. Then each direction of the connection may end by itself.
        request: the parsed head. For a raw greeting: the HTTP request that means the same. None until it is parsed.
        forwarded_for: the client's IP address, if a trusted proxy's X-Forwarded-For names it. Otherwise None, and the
            client's address is in `address`.
        source: the key under which this client's connections are counted. None: they are not counted.
        forwarded: True if the peer has connected to another reflector, which forwards the connection to this one.
        private: True if the other reflector says that nobody can read what is sent between it and the peer. See
            medusa.reflector.tickets.desk.
        granted: header fields to add to the answer that accepts the peer: its ticket, and for how many seconds the
            session is kept while the peer is away; what an agent must not do.
        startup: counts the connection until the peer has identified itself. None: it is not counted.
    """

    kind: str
    sock: Any
    address: tuple[Any, ...]
    proxied: bool = False
    data: bytes = b""
    handed_over: bool = False
    head: bytes = b""
    rest: bytes = b""
    typed: bool = False
    plain: bool = False
    request: Request | None = None
    forwarded_for: str | None = None
    source: str | None = None
    forwarded: bool = False
    private: bool = False
    granted: tuple[Field, ...] = ()
    startup: Startup | None = None

    def __init__(
        self,
        kind: str,
        sock: Any,
        address: tuple[Any, ...],
        proxied: bool = False,
        data: bytes = b"",
        startup: Startup | None = None,
        **others: Any,
    ) -> None:
        """Takes the values of the fields, most of which have their defaults at first. A record would set them all."""
        self.kind, self.sock, self.address, self.proxied, self.data = kind, sock, address, proxied, data
        self.startup = startup
        for name, value in others.items():
            setattr(self, name, value)

    @property
    def taken(self) -> bool:
        """True after `take`: the connection now belongs to a link or to another process."""
        return self.sock is None

    @property
    def host(self) -> str:
        """The client's IP address."""
        return str(self.address[0] if self.forwarded_for is None else self.forwarded_for)

    @property
    def client(self) -> str:
        """The client's address for the log: host:port, or the host alone if it comes from X-Forwarded-For."""
        return host_port(self.address) if self.host == self.address[0] else self.host

    @property
    def origin(self) -> tuple[str, int]:
        """(host, port): the client's IP address, and the port in `address`, which may be a proxy's port."""
        return self.host, self.address[1]

    @property
    def announced(self) -> list[str]:
        """The names of the features that the peer has announced; see medusa.protocol.features."""
        return self.request.headers.tokens(features.HEADER.lower()) if self.request is not None else []

    @property
    def joins(self) -> bool:
        """True if the peer is a client that asks to join a session, next to its other clients; see features.JOIN."""
        return self._field(features.JOIN) == "1"

    @property
    def leg(self) -> str:
        """The secret id of the client that an agent connects for; "" if the peer sends none. See features.LEG.

        If a client joins a session, the reflector sends the session's agent this id. The agent connects once more, and
        sends the id back.
        """
        return self._field(features.LEG) or ""

    @property
    def about(self) -> About:
        """The peer's description of itself, for lists of sessions; see features.ABOUT."""
        return parse_about(self._field(features.ABOUT))

    @property
    def holds(self) -> bool:
        """True if the peer announces that it comes back to its session after a lost connection; see features.HOLD."""
        return features.HOLD in self.announced

    @property
    def hold_time(self) -> int:
        """The seconds for which the session is to be kept while the peer is away; see features.KEPT.

        A default value if the peer does not ask for a valid number.
        """
        value = self._field(features.KEPT) or ""
        return min(int(value), MAX_KEEP) if re.fullmatch("[0-9]{1,9}", value) else KEEP

    @property
    def ticket(self) -> str | None:
        """The ticket with which the peer comes back to its session; None if it sends none. See features.TICKET."""
        return self._field(features.TICKET)

    @property
    def incarnation(self) -> str:
        """The id of the agent's process; "" if the peer sends no valid one. See features.INCARNATION."""
        given = self._field(features.INCARNATION) or ""
        return given if re.fullmatch("[0-9a-f]{32}", given) else ""

    def _field(self, name: str) -> str | None:
        return self.request.headers.get(name.lower()) if self.request is not None else None

    def receive(self) -> bytes:
        """Reads some bytes, adds them to `data` and returns them; b"" means the end of the stream.

        Raises:
            OSError: the connection is broken.
            HandshakeError: 503, too many bytes are held already.
        """
        data: bytes = self.sock.recv(RECORD)
        self.keep(data)
        return data

    def keep(self, data: bytes) -> None:
        """Appends `data`, which was read from the peer, to the attribute `data`.

        Raises HandshakeError (503) if too many bytes are kept already.
        """
        if self.startup is not None:
            self.startup.hold(len(data))
        self.data += data

    def unwrap(self) -> None:
        """Removes the head from `data`. Call this before the next request or greeting on the connection is read."""
        self.data, self.head, self.rest = self.rest, b"", b""

    def identified(self) -> None:
        """Ends the counting by `startup`. Idempotent.

        Call this when the peer has identified itself, or when its connection is closed.
        """
        if self.startup is not None:
            self.startup.end()

    def take(self) -> socket.socket | TlsSocket:
        """Takes the connection out of this record, and returns it as a socket without gevent. The caller now owns it.

        Call this after the peer has identified itself. With TLS, returns a TlsSocket around such a socket.
        """
        self.identified()
        tls = self.sock.tls if isinstance(self.sock, TlsSocket) else None
        plain = ungreen(self.sock)
        long_links.fit(plain)
        self.sock = None
        return plain if tls is None else TlsSocket(plain, tls)
