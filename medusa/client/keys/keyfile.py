"""Private keys in files: in OpenSSH's format or PEM, with or without a passphrase."""

from __future__ import annotations

import base64
import getpass
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from medusa.client.outcome import Failure
from medusa.keys import ALGORITHMS, BadKey, PublicKey

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

MAX_SIZE = 64 * 1024
"""Bytes that are read of a file; an RSA key of 16384 bits takes a fifth of that."""

TRIES = 3
"""How often a passphrase is asked for, as by ssh(1)."""

_OPENSSH_MAGIC = b"openssh-key-v1\0"


class FileSigner:
    """Signs with a key in this process's memory. Its repr does not show the key."""

    def __init__(self, key: PrivateKey, where: str) -> None:
        """Raises BadKey: the key is of a kind that cannot sign requests."""
        self.public = PublicKey(key.public_key())
        self.where = where
        self._key = key

    def sign(self, text: bytes) -> bytes:
        """The signature by `public.algorithm`, an ECDSA one in DER."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(text)
        digest = ALGORITHMS[self.public.algorithm].digest or hashes.SHA256()
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(text, padding.PKCS1v15(), digest)
        return self._key.sign(text, ec.ECDSA(digest))


class KeyFile:
    """A file that may hold a private key. Nothing is decrypted before `signer` is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = _read(path)

    @property
    def is_private_key(self) -> bool:
        """Whether the file looks like a private key."""
        return self._data.startswith(b"-----BEGIN ") and b" PRIVATE KEY-----" in self._data[:80]

    def public(self) -> PublicKey | None:
        """The public half, from the file or its `.pub`; None if it cannot be read without a passphrase."""
        for line in (_openssh_public(self._data), _read(self.path.with_name(self.path.name + ".pub"))):
            try:
                if line:
                    return PublicKey.from_ssh(line)
            except BadKey:
                continue
        try:
            return PublicKey(_load(self._data, None).public_key())
        except (TypeError, ValueError, UnsupportedAlgorithm, BadKey):
            return None

    def signer(self) -> FileSigner:
        """Decrypts the key; asks for its passphrase on the terminal if it has one. Raises Failure."""
        if not self._data:
            raise Failure(f"{self.path} is empty, or cannot be read")
        if not self.is_private_key:
            what = "is a public key; name the private one" if self._is_public() else "is no private key"
            raise Failure(f"{self.path} {what}")
        try:
            return FileSigner(self._unlocked(), str(self.path))
        except BadKey as error:
            raise Failure(f"{self.path}: {error}") from None
        except (ValueError, UnsupportedAlgorithm):
            raise Failure(f"{self.path}: a private key that cannot be read") from None

    def _unlocked(self) -> PrivateKey:
        try:
            return _load(self._data, None)
        except TypeError:  # the key has a passphrase
            pass
        for _ in range(TRIES):
            passphrase = _ask(f"Passphrase for {self.path}: ")
            try:
                return _load(self._data, passphrase)
            except (TypeError, ValueError):  # an empty one is a TypeError
                continue
        raise Failure(f"{self.path}: wrong passphrase")

    def _is_public(self) -> bool:
        try:
            PublicKey.from_ssh(self._data)
        except BadKey:
            return False
        return True


def files_in(directory: Path) -> Iterator[KeyFile]:
    """The private keys in a directory such as ~/.ssh, sorted by name; none if it cannot be read."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.is_file() and path.suffix != ".pub")
    except OSError:
        return
    for path in paths:
        file = KeyFile(path)
        if file.is_private_key:
            yield file


def _read(path: Path) -> bytes:
    """The beginning of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIZE)
    except OSError:
        return b""


def _load(data: bytes, passphrase: bytes | None) -> PrivateKey:
    """Raises TypeError if a passphrase is needed, ValueError if it is wrong, BadKey for another kind of key."""
    openssh = b"-----BEGIN OPENSSH" in data[:32]
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    key = load(data, passphrase)
    if not isinstance(key, PrivateKey):
        raise BadKey("not an RSA, ECDSA or Ed25519 key")
    return key


def _openssh_public(data: bytes) -> bytes:
    """`TYPE BASE64` of the public half, which OpenSSH's format leaves readable (PROTOCOL.key); empty for others."""
    body = b"".join(line for line in data.splitlines() if not line.startswith(b"-----"))
    try:
        blob = base64.b64decode(body, validate=True)
    except ValueError:
        return b""
    if not blob.startswith(_OPENSSH_MAGIC):
        return b""
    rest = blob[len(_OPENSSH_MAGIC) :]
    for _ in ("cipher", "key derivation", "its options"):
        _, rest = _string(rest)
    public, _ = _string(rest[4:])  # after the number of keys
    kind, _ = _string(public)
    return kind + b" " + base64.b64encode(public)


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A string of RFC 4251, section 5, and what follows it."""
    end = 4 + int.from_bytes(data[:4], "big")
    return data[4:end], data[end:]


def _ask(prompt: str) -> bytes:
    """Raises Failure if there is no terminal: a passphrase is never read from piped input."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        key = prompt.rstrip(": ").partition(" for ")[2]
        raise Failure(f"{key} needs a passphrase, and there is no terminal to ask on; put it into ssh-agent") from None
    try:
        return getpass.getpass(prompt).encode()
    except EOFError:
        raise Failure("no passphrase given") from None
