"""Listens on an address or a path, for a channel `listen` of the client."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Dict, List, Mapping, Optional, Tuple

from medusa.transports.dial.race import Address
from medusa.transports.dial.target import host_port
from medusa.transports.dial.tcp import reason
from medusa.transports.forwarding.dialling import kernel_name, prepared
from medusa.transports.forwarding.lookups import Lookups
from medusa.transports.forwarding.refusal import IN_USE, NOT_PERMITTED, TIMEOUT, UNKNOWN_HOST, CannotForward
from medusa.transports.steps import Steps

BACKLOG = 1024
"""The most connections of a listener that wait in the kernel."""

PORT_ATTEMPTS = 16
"""How often a free port is looked for that is free for each of the addresses."""

_LISTENING = {"": ("127.0.0.1", "::1"), "localhost": ("127.0.0.1", "::1"), "*": ("0.0.0.0", "::")}  # noqa: S104  (the client asks for it)
"""The addresses of some values of `host`. One that this machine does not have is left out."""

_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_FOR_A_WHILE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ONE_CONNECTION = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)
"""Errors of accept: no more connections for a while; only this one connection is lost. After others, the listener is
dead."""

_OTHERS = 0o177
"""The mask of permissions that only the owner of a unix socket keeps none of: the socket is made with mode 600."""


class Listener:
    """Listens for one channel.

    Args:
        sockets: the sockets that listen. From now on, only this object uses them.
        opened: the fields of the answer: where it listens.
        path: the path of the unix socket, which is removed at the end; None if it listens for TCP.
    """

    def __init__(self, sockets: List[socket.socket], opened: Dict[str, Any], path: Optional[bytes] = None) -> None:
        self._sockets = {sock.fileno(): sock for sock in sockets}
        self.opened, self._path = opened, path
        self._file = _identity(path)

    @property
    def fds(self) -> List[int]:
        """The descriptors that listen."""
        return list(self._sockets)

    @property
    def where(self) -> str:
        """Where it listens, as a text."""
        return self.opened.get("path") or host_port(self.opened["host"], self.opened["port"])

    def accept(self, fd: int) -> Optional[Tuple[socket.socket, str]]:
        """Accepts a connection. Returns the socket and the address of its peer, or None if there is none for now.

        Raises:
            OSError: the listener is dead, or no connection can be accepted for a while; see `passes`.
        """
        try:
            sock, peer = self._sockets[fd].accept()
        except OSError as error:
            if isinstance(error, BlockingIOError) or error.errno in _ONE_CONNECTION:
                return None
            raise
        if self._path is not None:
            sock.setblocking(False)
            return sock, ""
        try:
            return prepared(sock), host_port(peer[0], peer[1])
        except OSError:  # some systems do not let a connection be configured that is reset already
            sock.close()
            return None

    @property
    def is_file(self) -> bool:
        """True if it listens on a unix socket, which is a file."""
        return self._path is not None

    @property
    def removed(self) -> bool:
        """True if the file of the unix socket was removed or replaced, so that nobody can connect any more."""
        return self._path is not None and _identity(self._path) != self._file

    def close(self) -> None:
        """Ends listening, and removes the file of the unix socket."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
        if self._path is not None and not self.removed:
            try:
                os.unlink(self._path)
            except OSError:
                pass  # its directory cannot be written any more
        self._path = None


def passes(error: OSError) -> bool:
    """True if a listener can go on later after this error of `accept`."""
    return error.errno in _FOR_A_WHILE


def listen(fields: Mapping[str, Any], lookups: Lookups, deadline: float) -> Steps[Listener]:
    """Returns a listener on the `path`, or else on the `host` and `port`, of `fields`.

    Args:
        deadline: the latest end of a lookup, as a time of time.monotonic().

    Raises:
        CannotForward: it cannot listen there.
    """
    if fields["path"]:
        return _listen_path(fields["path"])
    host, port = fields["host"], fields["port"]
    if host in _LISTENING:
        found = [Address(socket.AF_INET6 if ":" in name else socket.AF_INET, (name, port)) for name in _LISTENING[host]]
    else:
        try:
            found = yield from lookups.find(host, port, deadline)
        except (OSError, ValueError) as error:
            code = TIMEOUT if isinstance(error, socket.timeout) else UNKNOWN_HOST
            raise CannotForward(code, "%s: %s" % (host_port(host, port), reason(error))) from None
    return _listen_any(host, port, found)


def _listen_path(path: str) -> Listener:
    name, sock = kernel_name(path), socket.socket(socket.AF_UNIX)
    mask = os.umask(_OTHERS)
    try:
        sock.bind(name)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except (OSError, ValueError) as error:
        sock.close()
        raise _refusal(path, error, "; remove this file if no program uses it") from None
    finally:
        os.umask(mask)
    return Listener([sock], {"path": path}, name)


def _listen_any(host: str, port: int, addresses: List[Address]) -> Listener:
    for attempt in range(PORT_ATTEMPTS):
        try:
            sockets = _bind(port, addresses)
        except OSError as error:
            if port == 0 and error.errno == errno.EADDRINUSE and attempt < PORT_ATTEMPTS - 1:
                continue  # the port is free for the first address only
            raise _refusal(host_port(host or "127.0.0.1", port), error) from None
        break
    first = sockets[0].getsockname()
    return Listener(sockets, {"host": first[0], "port": first[1]})


def _bind(port: int, addresses: List[Address]) -> List[socket.socket]:
    """Returns a socket that listens for each address that this machine has. Raises OSError."""
    sockets: List[socket.socket] = []
    missing: Optional[OSError] = None
    try:
        for family, (host, _, *rest) in dict.fromkeys(addresses):
            try:
                sockets.append(_bound(family, (host, port or (sockets and sockets[0].getsockname()[1]) or 0, *rest)))
            except OSError as error:
                if error.errno not in _MISSING:
                    raise
                missing = error
        if not sockets:
            raise missing or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bound(family: int, address: Tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _refusal(where: str, error: Exception, advice: str = "") -> CannotForward:
    in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
    return CannotForward(IN_USE if in_use else NOT_PERMITTED, "%s: %s%s" % (where, reason(error), advice * in_use))


def _identity(path: Optional[bytes]) -> Optional[Tuple[int, int]]:
    """Returns what tells the file at `path` from others; None if there is none."""
    try:
        found = os.lstat(path or b"")
    except OSError:
        return None
    return found.st_dev, found.st_ino
