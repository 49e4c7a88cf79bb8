"""Parses the header of the PROXY protocol, versions 1 and 2. A proxy sends it before the client's bytes.

The header tells the client's address. Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt.
Parsing is strict: a stream that does not begin with a correct header is refused.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple, Optional, Tuple

from medusa.protocol.errors import HandshakeError

MAX_TEXT = 107
"""The limit of a header of version 1, in bytes, with its CR LF. The protocol's text sets it."""

MAX_BINARY = 4096
"""The limit of a header of version 2, in bytes, without its first 16 bytes.

These bytes hold the addresses, and extensions such as a certificate.
"""

_TEXT, _BINARY = b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = len(_BINARY) + 4
_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: [\x21-\x7e ]*)?|TCP([46]) (\S+) (\S+) (\S+) (\S+))\Z")
_PORT = re.compile(rb"(?:0|[1-9][0-9]{0,4})\Z")
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_SIZES = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}


class ProxyHeader(NamedTuple):
    """A whole header of the PROXY protocol.

    Attributes:
        source: the client's address and port. None if the header does not give them.
        local: True if the proxy made the connection for itself, for example as a health check.
        rest: the bytes that came after the header.
    """

    source: Optional[Tuple[str, int]]
    local: bool
    rest: bytes


def parse_proxy_header(data: bytes) -> Optional[ProxyHeader]:
    """Parses the header at the start of `data`. Returns None if the header is not whole yet.

    Raises:
        HandshakeError: with status 400, because `data` begins with a broken header, or with no header.
    """
    if data.startswith(_BINARY[: len(data)]):
        return _binary(data)
    if data.startswith(_TEXT[: len(data)]):
        return _text(data)
    raise HandshakeError(400, "no PROXY header, which this peer has to begin with")


def _text(data: bytes) -> Optional[ProxyHeader]:
    end = data.find(b"\r\n", 0, MAX_TEXT)
    if end < 0:
        if len(data) >= MAX_TEXT or b"\n" in data or b"\r" in data[:-1]:
            raise _broken("no end of line")
        return None
    match = _LINE.match(data[:end])
    if match is None:
        raise _broken("bad line")
    rest = data[end + 2 :]
    if match[1] is None:
        return ProxyHeader(None, False, rest)
    source, _ = [_address(match[1], host) for host in match.group(2, 3)]
    port, _ = [_port(port) for port in match.group(4, 5)]
    return ProxyHeader((source, port), False, rest)


def _address(version: bytes, text: bytes) -> str:
    try:
        kind = ipaddress.IPv4Address if version == b"4" else ipaddress.IPv6Address
        return str(kind(text.decode("ascii")))
    except ValueError:
        raise _broken("bad address") from None


def _port(text: bytes) -> int:
    if not _PORT.match(text) or int(text) > 0xFFFF:
        raise _broken("bad port")
    return int(text)


def _binary(data: bytes) -> Optional[ProxyHeader]:
    if len(data) < _FIXED:
        return None
    command, family, length = struct.unpack_from("!BBH", data, len(_BINARY))
    if command not in (_LOCAL, _PROXY):
        raise _broken("unknown version or command")
    if length > MAX_BINARY:
        raise _broken("above %d bytes" % MAX_BINARY)
    if command == _PROXY and (family not in _SIZES or length < _SIZES[family]):
        raise _broken("unknown family, or too short for its addresses")
    if len(data) < _FIXED + length:
        return None
    rest = data[_FIXED + length :]
    if command == _LOCAL or family not in (_TCP4, _TCP6):
        return ProxyHeader(None, command == _LOCAL, rest)
    size = 4 if family == _TCP4 else 16
    host = str(ipaddress.ip_address(data[_FIXED : _FIXED + size]))
    (port,) = struct.unpack_from("!H", data, _FIXED + 2 * size)
    return ProxyHeader((host, port), False, rest)


def _broken(why: str) -> HandshakeError:
    return HandshakeError(400, "broken PROXY header: " + why)
