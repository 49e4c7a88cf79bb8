"""The record of one accepted connection, which the parts of the reflector pass on until it becomes a link."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any, Protocol

from medusa.protocol import features
from medusa.protocol.http.about import About
from medusa.protocol.http.about import parse as parse_about
from medusa.protocol.http.head import Request
from medusa.protocol.http.own_header import Field
from medusa.protocol.resume.offer import KEEP, MAX_KEEP
from medusa.reflector.net.sockets import host_port, ungreen
from medusa.transports.interfaces import Share
from medusa.transports.tls import RECORD, TlsSocket


class Startup(Protocol):
    """The interface to count a connection as long as its peer has not identified itself."""

    def move(self, source: str | None, share: Share = ...) -> None:
        """Counts the connection for another source from now on; see medusa.reflector.fronts.startups."""

    def hold(self, size: int) -> None:
        """Counts `size` more bytes that are held for the peer. Raises HandshakeError (503) if they are too many."""

    def end(self) -> None:
        """Stops counting the connection. Idempotent."""


@dataclass
class Accepted:
    """A connection, the address of its client, and the bytes read from it so far.

    Attributes:
        kind: the protocol of the connection: HTTP or RAW (medusa.reflector.net.listen).
        sock: gevent's socket, or a TlsSocket around it. None after `take`.
        address: the client's address as a socket returns it: that of the peer, or the one in a PROXY header.
        proxied: True if a PROXY header says that the peer is a proxy for a client, even if the header has no address.
        data: all bytes read so far, decrypted and without a PROXY header. If another process takes over the connection,
            it parses these bytes again from the start.
        handed_over: True if another worker has accepted the connection, read `data`, and handed over the connection and
            `data` to this worker.
        head: the head of the HTTP request, or the line of the raw greeting, without its line end.
        rest: the bytes that were read after the head.
        typed: True if a lone CR ended the greeting, as when a person presses Enter; see LineReader.
        plain: True if the link will have no frames, so that each direction may end by itself.
        request: the parsed head; for a raw greeting, the HTTP request that it stands for. None until it is parsed.
        forwarded_for: the client's host as a trusted proxy's X-Forwarded-For names it. None if `address` has it.
        source: the key under which this client's connections are counted. None: they are not counted.
        forwarded: True if another reflector of the site forwards the connection here.
        private: True if the reflector that forwards the connection says that nobody on the way to it can read what the
            peer is sent; see medusa.reflector.tickets.desk.
        granted: further header fields of the answer that accepts the peer: its ticket, and for how long it holds.
        startup: counts the connection as one whose peer has not identified itself. None: it is not counted so.
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
        """The client's IP address, and the port of `address`. The port may be that of a proxy."""
        return self.host, self.address[1]

    @property
    def announced(self) -> list[str]:
        """The names of the features that the peer has announced; see medusa.protocol.features."""
        return self.request.headers.tokens(features.HEADER.lower()) if self.request is not None else []

    @property
    def joins(self) -> bool:
        """True if the peer is a client that asks to join a session which lives; see features.JOIN."""
        return self._field(features.JOIN) == "1"

    @property
    def leg(self) -> str:
        """The value by which an agent was called for a client that has joined a session; "" if the peer sends none.

        See features.LEG.
        """
        return self._field(features.LEG) or ""

    @property
    def about(self) -> About:
        """What the peer says about itself for lists of sessions; see features.ABOUT."""
        return parse_about(self._field(features.ABOUT))

    @property
    def holds(self) -> bool:
        """True if the peer comes back after its link is lost; see features.HOLD."""
        return features.HOLD in self.announced

    @property
    def hold_time(self) -> int:
        """The seconds for which the peer asks to be kept while it is away; see features.KEPT."""
        value = self._field(features.KEPT) or ""
        return min(int(value), MAX_KEEP) if re.fullmatch("[0-9]{1,9}", value) else KEEP

    @property
    def ticket(self) -> str | None:
        """The ticket by which the peer comes back; see features.TICKET. None if the peer sends none."""
        return self._field(features.TICKET)

    @property
    def incarnation(self) -> str:
        """The name of the agent's process; see features.INCARNATION. "" if the peer sends none."""
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
        """Adds bytes that were read to `data`. Raises HandshakeError (503) if too many bytes are held already."""
        if self.startup is not None:
            self.startup.hold(len(data))
        self.data += data

    def unwrap(self) -> None:
        """Removes the head from `data`. Call this if another request or greeting follows, which is to be read next."""
        self.data, self.head, self.rest = self.rest, b"", b""

    def identified(self) -> None:
        """Call this when the peer has identified itself, or its connection is closed. Ends `startup`. Idempotent."""
        if self.startup is not None:
            self.startup.end()

    def take(self) -> socket.socket | TlsSocket:
        """Takes the connection out of this record. Returns it as a socket without gevent, which the caller now owns.

        Call it after the peer has identified itself.
        """
        self.identified()
        tls = self.sock.tls if isinstance(self.sock, TlsSocket) else None
        plain = ungreen(self.sock)
        self.sock = None
        return plain if tls is None else TlsSocket(plain, tls)
