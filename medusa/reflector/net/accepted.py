"""One accepted connection: the record that every part of the reflector passes on, from accept to the link."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from medusa.protocol.http.head import Request
from medusa.reflector.net.sockets import host_port, ungreen
from medusa.transports.tls import RECORD, TlsSocket


@dataclass
class Accepted:
    """A connection, who is at its other end, and what was read of it so far.

    Attributes:
        kind: HTTP or RAW (medusa.reflector.net.listen): what it speaks.
        sock: gevent's socket, or a TlsSocket around it; None after `take`.
        address: of the client, as a socket has it: the peer's, or what a PROXY header says.
        proxied: a PROXY header says that the client is another host than the peer, whatever address it gives.
        data: all that was read, without a PROXY header, decrypted; what another process needs to start anew.
        handed_over: another worker has accepted it, and read `data`.
        head: the request's head, or the greeting's line, without its end.
        rest: what was read after the head.
        typed: the greeting's line ended as a person's Enter ends it; see LineReader.
        plain: no frames: each direction may end without the other.
        request: what `head` says; that of a raw greeting is the request that it stands for. None before it is parsed.
        forwarded_for: the client's host, if a trusted proxy's header field names another than `address`.
        source: under what the connections of this client are counted; None for not at all.
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

    @property
    def taken(self) -> bool:
        """True after `take`: the connection belongs to a link, or to another process."""
        return self.sock is None

    @property
    def host(self) -> str:
        """The client's IP address."""
        return str(self.address[0] if self.forwarded_for is None else self.forwarded_for)

    @property
    def client(self) -> str:
        """The client for the log: its address, without a port if only a header field names it."""
        return host_port(self.address) if self.host == self.address[0] else self.host

    @property
    def origin(self) -> tuple[str, int]:
        """The client's IP address, with the port of whatever is at the other end of the connection."""
        return self.host, self.address[1]

    def receive(self) -> bytes:
        """Read some bytes, which are added to `data`; empty at the end of the stream. Raises OSError."""
        data: bytes = self.sock.recv(RECORD)
        self.data += data
        return data

    def unwrap(self) -> None:
        """Go on with what follows the head: it is a request, or a greeting, of its own, to be read next."""
        self.data, self.head, self.rest = self.rest, b"", b""

    def take(self) -> socket.socket | TlsSocket:
        """The connection without gevent, fit for a link, which owns it from now on."""
        tls = self.sock.tls if isinstance(self.sock, TlsSocket) else None
        plain = ungreen(self.sock)
        self.sock = None
        return plain if tls is None else TlsSocket(plain, tls)
