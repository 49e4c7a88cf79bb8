"""Signs with private keys in an ssh-agent. The ssh-agent never gives out the keys; it makes the signatures itself.

The protocol is that of draft-miller-ssh-agent. Keys and comments are bytes here, because an ssh-agent may hold keys of
unknown types, and comments in any encoding.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from medusa.client.keys.ssh_string import join, split
from medusa.client.outcome import Failure
from medusa.keys import SSH_TYPES, BadKey, PublicKey
from medusa.protocol.printable import printable

CONNECT_TIMEOUT = 10.0
"""Seconds for the ssh-agent to accept a connection.

There is no limit for a signature, because the ssh-agent may ask the user before it signs.
"""

LIST_TIMEOUT = 30.0
"""Seconds for the ssh-agent to begin the list of its keys. The ssh-agent may ask the user to unlock it first."""

REST_TIMEOUT = 10.0
"""Seconds between two parts of one answer of the ssh-agent, at most."""

MAX_ANSWER = 16 * 1024 * 1024
"""The longest answer in bytes that is read. OpenSSH's ssh-agent sends 256 KiB at most."""

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_RSA_SHA2_256 = 2
"""The flag for RSA keys (RFC 8332). An ssh-agent that gets no flag signs with SHA-1."""

_NOWHERE = "/nonexistent"
"""The path of a file that does not exist. It is used as the socket of the ssh-agent if SSH_AUTH_SOCK is not set."""

_RSA_ALGORITHM = b"rsa-sha2-256"
_MAX_SHOWN = 80


class _Refused(Exception):
    """Raised if the ssh-agent refuses a request, or if its answer is malformed."""


_BROKEN = (_Refused, OSError)


class AgentSigner:
    """Signs with a private key that an ssh-agent holds.

    Each call of `sign` opens a new connection to the ssh-agent, so threads may share this object.
    """

    def __init__(self, public: PublicKey, blob: bytes, path: str) -> None:
        """Makes the signer for one key of an ssh-agent.

        Args:
            public: the public key.
            blob: the public key in SSH's encoding, by which the ssh-agent finds the private key.
            path: the path of the ssh-agent's socket.
        """
        self.public = public
        self.where = "ssh-agent"
        self._blob = blob
        self._path = path

    def sign(self, text: bytes) -> bytes:
        """Returns the signature of `text` by `public.algorithm`. ECDSA signatures are DER-encoded.

        Raises:
            Failure: the ssh-agent refused, cannot be reached, or no longer has the key.
        """
        try:
            with _connection(self._path) as sock:
                if all(blob != self._blob for blob, _ in _identities(sock)):
                    raise Failure(f"ssh-agent does not hold the key {self.public.md5} any more; ssh-add it again")
                flags = _RSA_SHA2_256 if self.public.kind == "rsa" else 0
                request = join(self._blob, text) + flags.to_bytes(4, "big")
                answer = _ask(sock, _SIGN_REQUEST, request, _SIGN_RESPONSE)
            return self._signature(split(answer)[0])
        except (*_BROKEN, ValueError) as error:
            raise Failure(f"ssh-agent did not sign with {self.public.md5} ({printable(str(error))})") from None

    def _signature(self, answer: bytes) -> bytes:
        """Converts a signature from SSH's format to the format of HTTP signatures, and returns it.

        RFC 4253 section 6.6 and RFC 5656 section 3.1.2 describe SSH's format.

        Raises:
            ValueError: `answer` is malformed.
            Failure: the ssh-agent can sign with RSA keys only by SHA-1.
        """
        algorithm, rest = split(answer)
        signature, _ = split(rest)
        if self.public.kind == "rsa" and algorithm != _RSA_ALGORITHM:
            raise Failure("this ssh-agent signs with RSA keys by SHA-1 only; use an ed25519 key, or a key file")
        if self.public.kind != "ecdsa":
            return signature
        r, rest = split(signature)
        s, _ = split(rest)
        return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def signers(path: str | None = None) -> tuple[list[AgentSigner], list[str]]:
    """Returns the keys in the ssh-agent that can sign requests, and a line of text for each other key.

    Returns no keys if there is no ssh-agent, or if it does not list its keys.

    `path`: the path of the ssh-agent's socket; None for the one that SSH_AUTH_SOCK names.
    """
    usable, useless = [], []
    path = path or os.environ.get("SSH_AUTH_SOCK") or _NOWHERE
    for blob, comment in _list(path):
        kind = _kind(blob)
        try:
            usable.append(AgentSigner(PublicKey.from_ssh(kind + b" " + base64.b64encode(blob)), blob, path))
        except BadKey as error:
            why = str(error) if kind in SSH_TYPES else "not a kind of key that HTTP signatures know"
            useless.append(" ".join([*filter(None, (_shown(kind), _shown(comment))), f"({why})"]))
    return usable, useless


def problem(path: str | None = None, name: str = "SSH_AUTH_SOCK") -> str | None:
    """Returns in words why the ssh-agent does not list its keys. Returns None if it lists them, or does not exist.

    Args:
        path: the path of the ssh-agent's socket; None for the one that SSH_AUTH_SOCK names.
        name: words for the text that say where `path` comes from, such as `SSH_AUTH_SOCK`.
    """
    path = path or os.environ.get("SSH_AUTH_SOCK")
    if not path:
        return None
    try:
        with _connection(path) as sock:
            _identities(sock, REST_TIMEOUT)  # it was asked before, with more time
    except _BROKEN as error:
        why = getattr(error, "strerror", None) or str(error)
        return f"the ssh-agent at {name} does not list its keys ({printable(why)})"
    return None


def _list(path: str) -> list[tuple[bytes, bytes]]:
    try:
        with _connection(path) as sock:
            return _identities(sock)
    except _BROKEN:
        return []


def _identities(sock: socket.socket, timeout: float = LIST_TIMEOUT) -> list[tuple[bytes, bytes]]:
    """Asks the ssh-agent for its keys. Returns the public key (encoded) and the comment of each key.

    If the answer is cut off, returns the keys that came before. `timeout`: seconds for the answer to begin.
    """
    answer = _ask(sock, _REQUEST_IDENTITIES, b"", _IDENTITIES_ANSWER, whole=False, timeout=timeout)
    count, rest = int.from_bytes(answer[:4], "big"), answer[4:]
    found: list[tuple[bytes, bytes]] = []
    with contextlib.suppress(ValueError):
        while len(found) < count:
            blob, rest = split(rest)
            comment, rest = split(rest)
            found.append((blob, comment))
    return found


def _kind(blob: bytes) -> bytes:
    """Returns the type of an encoded key, such as b"ssh-rsa". Returns b"" if the key is malformed."""
    try:
        return split(blob)[0]
    except ValueError:
        return b""


def _shown(text: bytes) -> str:
    """Returns `text` in a short, printable form for the user. The ssh-agent sent it in an unknown encoding."""
    return printable(text.decode("utf-8", "backslashreplace"), _MAX_SHOWN)


@contextlib.contextmanager
def _connection(path: str) -> Iterator[socket.socket]:
    """Context manager that yields a connection to the ssh-agent at `path`. Raises OSError if there is none."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(CONNECT_TIMEOUT)
        sock.connect(path)
        yield sock


def _ask(
    sock: socket.socket, kind: int, request: bytes, wanted: int, *, whole: bool = True, timeout: float | None = None
) -> bytes:
    """Sends a request of the type `kind`, and returns the answer without its type.

    Args:
        whole: True to raise OSError if the answer breaks off. False to return the part that has arrived.
        timeout: seconds for the answer to begin; None for no limit.

    Raises:
        _Refused: the answer is not of the type `wanted`.
        OSError: the connection broke.
    """
    sock.settimeout(timeout)
    sock.sendall(join(bytes([kind]) + request))
    size = int.from_bytes(_read(sock, 4), "big")
    if not 0 < size <= MAX_ANSWER:
        raise _Refused(f"its answer has {size} bytes")
    answer = _read(sock, size, whole=whole)
    if answer[:1] != bytes([wanted]):
        raise _Refused("it refuses; if it is locked, ssh-add -X unlocks it")
    return answer[1:]


def _read(sock: socket.socket, size: int, *, whole: bool = True) -> bytes:
    data = bytearray()
    try:
        while len(data) < size:
            more = sock.recv(size - len(data))
            if not more:
                raise ConnectionError("it hung up")
            sock.settimeout(REST_TIMEOUT)
            data += more
    except OSError:
        if whole:
            raise
    return bytes(data)
