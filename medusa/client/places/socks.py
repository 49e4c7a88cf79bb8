"""Reads what a program asks of a SOCKS proxy: the versions 4, 4a and 5 (RFC 1928), without authentication. No I/O."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

from medusa.client.places.specs import Place

MAX_USER = 255
"""The longest name of a user in SOCKS 4, in bytes. The name is not used."""

MAX_HOST = 255
"""The longest name of a host, in bytes."""

CONNECT = 1
"""The only command that is carried out."""

NO_AUTHENTICATION, NO_METHOD = 0, 0xFF

IPV4, NAME, IPV6 = 1, 3, 4
"""The types of addresses in SOCKS 5."""

GRANTED = 0
FAILED, FORBIDDEN, UNREACHABLE, REFUSED, EXPIRED, BAD_COMMAND, BAD_ADDRESS = 1, 2, 4, 5, 6, 7, 8
"""The answers of SOCKS 5."""

_BY_CODE = {"forbidden": FORBIDDEN, "unknown-host": UNREACHABLE, "refused": REFUSED, "timeout": EXPIRED}
"""The agent's code for a channel that it refuses -> the answer of SOCKS 5."""

GRANTED_4, FAILED_4 = 0x5A, 0x5B


class NotSocks(Exception):
    """Raised if the bytes are not SOCKS, or ask for something that is not carried out.

    Attributes:
        answer: the bytes to send before the connection is closed.
    """

    def __init__(self, words: str, answer: bytes = b"") -> None:
        super().__init__(words)
        self.answer = answer


class Step(NamedTuple):
    """What one call of `feed` has found.

    Attributes:
        used: the number of bytes that were used. The rest belongs to the connection that the program asked for.
        answer: the bytes to send now.
    """

    used: int
    answer: bytes = b""


class Socks:
    """The request of one connection.

    Pass the bytes that arrive to `feed`, until `target` is set. Then send `granted()` or `refused()`.

    Attributes:
        target: the place that the program asks for; None until its request is complete.
    """

    def __init__(self) -> None:
        self.target: Place | None = None
        self._held = b""
        self._version: int | None = None
        self._greeted = False

    def feed(self, data: bytes) -> Step:
        """Reads the next bytes of the program.

        Raises:
            NotSocks: they are not a request that can be carried out.
        """
        before, self._held = len(self._held), self._held + data
        answer = b""
        self._version = self._held[0] if self._held and self._version is None else self._version
        if self._version not in (None, 4, 5):
            raise NotSocks("the program does not speak SOCKS 4 or 5")
        if self._version == 5 and not self._greeted:
            size = self._greeting()
            if not size:
                return Step(len(data))
            answer = bytes((5, NO_AUTHENTICATION))
            before, self._held = before - size, self._held[size:]
        used = self._request()
        if self.target is None:
            return Step(len(data), answer)
        self._held = b""
        return Step(used - before, answer)

    def granted(self) -> bytes:
        """Returns the answer after the connection was made."""
        return self._answer(GRANTED, GRANTED_4)

    def refused(self, code: str) -> bytes:
        """Returns the answer after the connection was refused. `code`: the code with which the channel was refused."""
        return self._answer(_BY_CODE.get(code, FAILED), FAILED_4)

    def _answer(self, five: int, four: int) -> bytes:
        if self._version == 4:
            return struct.pack("!BBH4x", 0, four, 0)
        return struct.pack("!BBBB4xH", 5, five, 0, IPV4, 0)

    def _greeting(self) -> int:
        """Returns the length of the list of methods that begins SOCKS 5; 0 if it is not complete."""
        held = self._held
        if len(held) < 2 or len(held) < 2 + held[1]:
            return 0
        if NO_AUTHENTICATION not in held[2 : 2 + held[1]]:
            raise NotSocks("the program wants to authenticate itself by SOCKS", bytes((5, NO_METHOD)))
        self._greeted = True
        return 2 + held[1]

    def _request(self) -> int:
        """Sets `target` if the request is complete. Returns the length of the request; 0 if it is not complete."""
        found = self._four() if self._version == 4 else self._five() if self._held else None
        if found is None:
            return 0
        host, port, used = found
        if not port or not _is_host(host):
            raise self._failure("the program asks for a place that cannot be", FAILED)
        self.target = Place(host.decode("ascii"), port)
        return used

    def _four(self) -> tuple[bytes, int, int] | None:
        held = self._held
        if len(held) > 1 and held[1] != CONNECT:
            raise self._failure("the program asks by SOCKS for something else than a connection", BAD_COMMAND)
        end = held.find(b"\0", 8)
        if len(held) - 8 > MAX_USER and not 0 <= end <= 8 + MAX_USER:
            raise self._failure("the name of a user is too long", FAILED)
        if end < 0:
            return None
        (port, address) = struct.unpack("!H4s", held[2:8])
        if address[:3] != bytes(3) or not address[3]:
            return str(ipaddress.IPv4Address(address)).encode(), port, end + 1
        last = held.find(b"\0", end + 1)  # 4a: the address 0.0.0.x says that a name follows
        if len(held) - end - 1 > MAX_HOST and not 0 <= last <= end + 1 + MAX_HOST:
            raise self._failure("the name of a host is too long", FAILED)
        return None if last < 0 else (held[end + 1 : last], port, last + 1)

    def _five(self) -> tuple[bytes, int, int] | None:
        held = self._held
        if held[0] != 5 or held[2:3] not in (b"", b"\0"):
            raise self._failure("the program does not follow SOCKS 5", FAILED)
        if len(held) > 1 and held[1] != CONNECT:
            raise self._failure("the program asks by SOCKS for something else than a connection", BAD_COMMAND)
        if len(held) < 5:
            return None
        sizes = {IPV4: (4, 4), IPV6: (4, 16), NAME: (5, held[4])}
        if held[3] not in sizes:
            raise self._failure("the program asks for an unknown type of address", BAD_ADDRESS)
        begin, size = sizes[held[3]]
        if len(held) < begin + size + 2:
            return None
        address, (port,) = held[begin : begin + size], struct.unpack_from("!H", held, begin + size)
        if held[3] != NAME:
            address = str(ipaddress.ip_address(address)).encode()
        return address, port, begin + size + 2

    def _failure(self, words: str, answer: int) -> NotSocks:
        return NotSocks(words, self._answer(answer, FAILED_4))


def _is_host(name: bytes) -> bool:
    return bool(name) and all(0x21 <= byte < 0x7F for byte in name)
