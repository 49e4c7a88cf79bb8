"""Reads private keys from files, in OpenSSH's format or in PEM, with or without a passphrase."""

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
"""The maximum number of bytes that are read of a file. An RSA key of 16384 bits is a fifth as large."""

TRIES = 3
"""How often to ask for the passphrase of a key; the same number as in ssh(1)."""

_OPENSSH_MAGIC = b"openssh-key-v1\0"


class FileSigner:
    """A private key in the memory of this process, which can sign. The object's repr does not show the key."""

    def __init__(self, key: PrivateKey, where: str) -> None:
        """`where` names the key's file, for messages. Raises BadKey if this kind of key cannot sign requests."""
        self.public = PublicKey(key.public_key())
        self.where = where
        self._key = key

    def sign(self, text: bytes) -> bytes:
        """Returns the signature of `text` by `public.algorithm`. ECDSA signatures are DER-encoded."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(text)
        digest = ALGORITHMS[self.public.algorithm].digest or hashes.SHA256()
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(text, padding.PKCS1v15(), digest)
        return self._key.sign(text, ec.ECDSA(digest))


class KeyFile:
    """A file that may contain a private key. The key is decrypted only when `signer` is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = _read(path)

    @property
    def is_private_key(self) -> bool:
        """True if the file begins like a private key."""
        return self._data.startswith(b"-----BEGIN ") and b" PRIVATE KEY-----" in self._data[:80]

    def public(self) -> PublicKey | None:
        """Returns the public key, from this file or from the `.pub` file beside it.

        Returns None if neither can be read without a passphrase.
        """
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
        """Reads the private key and returns it. If it has a passphrase, asks for it on the terminal. Raises Failure."""
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
            except (TypeError, ValueError):  # an empty passphrase raises TypeError
                continue
        raise Failure(f"{self.path}: wrong passphrase")

    def _is_public(self) -> bool:
        try:
            PublicKey.from_ssh(self._data)
        except BadKey:
            return False
        return True


def files_in(directory: Path) -> Iterator[KeyFile]:
    """Yields the files in `directory` that look like private keys, sorted by name.

    Yields nothing if the directory cannot be read.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if path.is_file() and path.suffix != ".pub")
    except OSError:
        return
    for path in paths:
        file = KeyFile(path)
        if file.is_private_key:
            yield file


def _read(path: Path) -> bytes:
    """Returns the first MAX_SIZE bytes of a file, or nothing if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIZE)
    except OSError:
        return b""


def _load(data: bytes, passphrase: bytes | None) -> PrivateKey:
    """Decodes a private key and returns it.

    Raises:
        TypeError: the key needs a passphrase.
        ValueError: the passphrase is wrong, or the key is malformed.
        BadKey: the key is neither an RSA nor an ECDSA nor an Ed25519 key.
    """
    openssh = b"-----BEGIN OPENSSH" in data[:32]
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    key = load(data, passphrase)
    if not isinstance(key, PrivateKey):
        raise BadKey("not an RSA, ECDSA or Ed25519 key")
    return key


def _openssh_public(data: bytes) -> bytes:
    """Returns the public key in a private key file, as `TYPE BASE64`. Needs no passphrase.

    Returns nothing if the file is not in OpenSSH's format, which OpenSSH's document PROTOCOL.key describes.
    """
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
    public, _ = _string(rest[4:])  # the first 4 bytes are the number of keys
    kind, _ = _string(public)
    return kind + b" " + base64.b64encode(public)


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Splits `data`, which begins with a string of RFC 4251, section 5. Returns that string and the bytes after it."""
    end = 4 + int.from_bytes(data[:4], "big")
    return data[4:end], data[end:]


def _ask(prompt: str) -> bytes:
    """Asks for a passphrase on the terminal and returns it. Raises Failure if there is no terminal.

    A passphrase is never read from piped input.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        key = prompt.rstrip(": ").partition(" for ")[2]
        raise Failure(f"{key} needs a passphrase, and there is no terminal to ask on; put it into ssh-agent") from None
    try:
        return getpass.getpass(prompt).encode()
    except EOFError:
        raise Failure("no passphrase given") from None
