"""Parses what is to be forwarded, as ssh(1) does: the values of -L, -R, -D and -W. No I/O."""

from __future__ import annotations

import enum
from typing import NamedTuple

from medusa.protocol.channels.kinds import MAX_NAME, MAX_PATH
from medusa.protocol.printable import printable

ALL = "*"
"""The host that stands for all addresses of a machine."""

MAX_PORT = 65535


class Side(enum.Enum):
    """Says where a forward listens."""

    LOCAL = "-L"
    REMOTE = "-R"
    DYNAMIC = "-D"


FORMS = {
    Side.LOCAL: "[BIND:]PORT:HOST:PORT, [BIND:]PORT:SOCKET, SOCKET:HOST:PORT or SOCKET:SOCKET",
    Side.REMOTE: "[BIND:]PORT:HOST:PORT, [BIND:]PORT:SOCKET, SOCKET:HOST:PORT, SOCKET:SOCKET or [BIND:]PORT",
    Side.DYNAMIC: "[BIND:]PORT",
}
"""The forms of the values. A SOCKET is a path with a / in it."""


class Place(NamedTuple):
    """A place to listen at, or to connect to: a host with a port, or a unix socket.

    Attributes:
        host: the name or address. To listen: "" for loopback, ALL for all addresses.
        port: the port. To listen: 0 for any free one.
        path: the path of a unix socket; "" if it is a host with a port.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return printable(self.path, MAX_PATH)
        host = printable(self.host or "127.0.0.1", MAX_NAME)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def kind(self) -> str:
        """The kind of the channel that connects to this place."""
        return "unix" if self.path else "tcp"

    @property
    def fields(self) -> dict[str, object]:
        """The parameters of a channel that connects to this place, or listens there."""
        return {"path": self.path} if self.path else {"host": self.host, "port": self.port}


class Forward(NamedTuple):
    """What one option asks for.

    Attributes:
        side: where it listens: here (LOCAL, DYNAMIC) or in the job (REMOTE).
        listen: the place to listen at.
        target: the place that each connection is connected to, on the other side. None: each connection asks for its
            own place, by SOCKS.
    """

    side: Side
    listen: Place
    target: Place | None = None


def parse_forward(side: Side, text: str) -> Forward:
    """Returns what the value `text` of an option -L, -R or -D asks for.

    Raises:
        ValueError: `text` has none of the forms that ssh(1) describes.
    """
    forward = _forward(side, _fields(text.strip()))
    if forward is None:
        raise ValueError(f"{printable(text)!r} is not {FORMS[side]}")
    _check(text, forward.listen, least=0)
    if forward.target is not None:
        _check(text, forward.target, least=1)
    return forward


def parse_target(text: str) -> Place:
    """Returns the place that the value `text` of -W names: HOST:PORT, or the path of a unix socket.

    Raises:
        ValueError: it is neither.
    """
    fields = _fields(text.strip()) or []
    if len(fields) == 1 and _is_path(fields[0]):
        place: Place | None = Place(path=fields[0])
    else:
        place = _host(*fields) if len(fields) == 2 else None
    if place is None or not (place.host or place.path):
        raise ValueError(f"{printable(text)!r} is not HOST:PORT, nor the path of a unix socket")
    _check(text, place, least=1)
    return place


def _forward(side: Side, fields: list[str] | None) -> Forward | None:
    """Returns the forward that the parts between the colons describe; None if they have no form that is known."""
    if not fields or len(fields) > 4:
        return None
    alone = len(fields) == 1 or (len(fields) == 2 and not any(map(_is_path, fields)))
    if side is Side.DYNAMIC or (side is Side.REMOTE and alone):
        listen = _listen(fields)
        if listen is None or (listen.path and side is Side.DYNAMIC):  # `-D DIR` is an option of Slurm
            return None
        return Forward(side, listen)
    size = 1 if _is_path(fields[-1]) else 2
    listen, target = _listen(fields[:-size]), _target(fields[-size:])
    return None if listen is None or target is None else Forward(side, listen, target)


def _listen(fields: list[str]) -> Place | None:
    if len(fields) == 1 and _is_path(fields[0]):
        return Place(path=fields[0])
    if len(fields) == 1:
        return _host("", fields[0])
    if len(fields) == 2 and not any(map(_is_path, fields)):
        return _host(fields[0] or ALL, fields[1])
    return None


def _target(fields: list[str]) -> Place | None:
    if len(fields) < 2:
        return Place(path=fields[0])
    place = _host(*fields) if not any(map(_is_path, fields)) else None
    return place if place is not None and place.host else None


def _host(host: str, port: str) -> Place | None:
    if not (port.isascii() and port.isdecimal() and len(port) <= 5):
        return None
    return Place(host, int(port))


def _check(text: str, place: Place, least: int) -> None:
    """Raises ValueError if a part of `place` is too long, or if its port is below `least` or too large."""
    if not place.path and not least <= place.port <= MAX_PORT:
        raise ValueError(f"{printable(text)!r}: {place.port} is no port; a port is {least} to {MAX_PORT}")
    if len(place.host) > MAX_NAME or len(place.path) > MAX_PATH or "\0" in place.host + place.path:
        raise ValueError(f"{printable(text, 80)!r}: a host has at most {MAX_NAME} characters, a path {MAX_PATH}")


def _is_path(field: str) -> bool:
    return "/" in field


def _fields(text: str) -> list[str] | None:
    r"""Splits `text` at its colons. A part may stand in brackets, and `\:` stands for a colon within a part.

    Returns None if a bracket is not closed, or if something follows it in the same part.
    """
    found, rest = [], text
    while True:
        if rest.startswith("["):
            part, closed, rest = rest[1:].partition("]")
            if not closed or (rest and not rest.startswith(":")):
                return None
        else:
            part, rest = _until_colon(rest)
        found.append(part)
        if not rest:
            return found
        rest = rest[1:]


def _until_colon(text: str) -> tuple[str, str]:
    """Returns the part before the first colon that has no backslash before it, and the text from this colon on."""
    part, at = "", 0
    while at < len(text) and text[at] != ":":
        at += text[at] == "\\" and at + 1 < len(text)
        part += text[at]
        at += 1
    return part, text[at:]
