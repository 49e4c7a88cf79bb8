"""Reads private keys from files, in OpenSSH's format or in PEM, with or without a passphrase.

It reads the same files as `ssh-keygen -y -f FILE`, except PEM files with rare ciphers. The library `cryptography` lacks
these ciphers.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from medusa.client.keys import key_block, legacy_pem, openssh
from medusa.client.keys.key_block import KeyBlock
from medusa.client.outcome import Failure
from medusa.keys import ALGORITHMS, BadKey, PublicKey, first_public
from medusa.protocol.printable import printable

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

MAX_SIZE = 1024 * 1024
"""The maximum number of bytes that are read of a file, the same as in OpenSSH. A key may follow certificates."""

TRIES = 3
"""How often to ask for the passphrase of a key; the same number as in ssh(1)."""

_MAX_PATH = 4096

_OTHER_FORMATS = (
    (b"PuTTY-User-Key-File", " of OpenSSH but one of PuTTY; convert it by: puttygen FILE -O private-openssh -o NEW"),
    (b"---- BEGIN SSH2 ", " of OpenSSH but one of SSH2; convert it by: ssh-keygen -i -f FILE"),
    (b"\xff\xfe", " in UTF-8; convert its text by: iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xfe\xff", " in UTF-8; convert its text by: iconv -f UTF-16 -t UTF-8 FILE"),
)
"""The first bytes of files that OpenSSH cannot read, each with words that tell the user what to do."""

_UNREADABLE = (ValueError, UnsupportedAlgorithm, InvalidTag)
"""What `cryptography` raises for a wrong passphrase, a malformed key, and a cipher or curve that it does not have."""


class FileSigner:
    """Signs with a private key that was read from a file. The object's repr does not show the key."""

    def __init__(self, key: PrivateKey, where: str) -> None:
        """Makes a signer. Raises BadKey if this kind of key cannot sign requests.

        `where`: the name of the key's file, for messages.
        """
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
    """A file that may contain a private key. The key is decrypted only if `signer` is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = _read(path)
        self._block = key_block.find(self._data)

    @property
    def is_private_key(self) -> bool:
        """True if the file contains what looks like a private key."""
        return self._block is not None

    @property
    def may_be_private(self) -> bool:
        """True if the file exists and contains no public key. It may contain no key: then `signer` raises Failure."""
        return self.path.is_file() and not self.is_public_key

    @property
    def is_public_key(self) -> bool:
        """True if the file contains a public key instead of a private one."""
        return self._block is None and first_public(self._data) is not None

    @property
    def needs_passphrase(self) -> bool:
        """True if the file contains a private key that can be used only with a passphrase."""
        try:
            if self._block is not None:
                _load(self._block, None)
        except TypeError:
            return True
        except (*_UNREADABLE, BadKey):
            pass
        return False

    def public(self) -> PublicKey | None:
        """Returns the public key. Reads it from this file or from the file beside it that ends in `.pub`.

        Returns None if no public key can be read without a passphrase. This file itself may be missing.
        """
        container = None if self._block is None else openssh.parse(self._block.pem)
        own = container.public_line if container is not None else b"" if self._block else self._data
        for data in (own, _read(self.path.with_name(self.path.name + ".pub"))):
            if (public := first_public(data)) is not None:
                return public
        if self._block is None:
            return None
        try:
            return PublicKey(_load(self._block, None).public_key())
        except (*_UNREADABLE, TypeError, BadKey):
            return None

    def signer(self) -> FileSigner:
        """Reads the private key and returns it. If the key has a passphrase, asks for it on the terminal.

        Raises:
            Failure: the file contains no private key that can be used.
        """
        where = printable(str(self.path), _MAX_PATH)
        if not self._data:
            raise Failure(f"{where} is empty, or cannot be read")
        if self._block is None:
            raise Failure(f"{where} {self._what_else()}")
        try:
            return FileSigner(self._unlocked(self._block, where), str(self.path))
        except BadKey as error:
            raise Failure(f"{where}: {error}") from None
        except _UNREADABLE as error:
            raise Failure(f"{where}: a private key that cannot be read{_advice(error)}") from None

    def _unlocked(self, block: KeyBlock, where: str) -> PrivateKey:
        try:
            return _load(block, None)
        except TypeError:  # the key has a passphrase
            pass
        for _ in range(TRIES):
            passphrase = _ask(f"Passphrase for {where}: ")
            try:
                return _load(block, passphrase)
            except TypeError:  # the passphrase is empty
                continue
            except _UNREADABLE as error:
                if _is_unknown(error):
                    raise
        raise Failure(f"{where}: wrong passphrase")

    def _what_else(self) -> str:
        """Returns words that tell the user that this file contains no private key.

        If it is known what the file is, the words say so, and say what the user can do. An example is `is a public key;
        name the private one`.
        """
        if self.is_public_key:
            return "is a public key; name the private one"
        found = next((words for mark, words in _OTHER_FORMATS if self._data.startswith(mark)), None)
        return f"is no private key{found or ''}"


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
    """Returns the first MAX_SIZE bytes of a file; b"" if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIZE)
    except OSError:
        return b""


def _load(block: KeyBlock, passphrase: bytes | None) -> PrivateKey:
    """Decodes a private key and returns it.

    Raises:
        TypeError: the key needs a passphrase.
        ValueError, UnsupportedAlgorithm, InvalidTag: the passphrase is wrong, the key is malformed, or its cipher or
            curve is not supported.
        BadKey: the key is neither an RSA nor an ECDSA nor an Ed25519 key.
    """
    key = (_load_openssh if block.openssh else _load_pem)(block.pem, passphrase)
    if not isinstance(key, PrivateKey):
        raise BadKey("not an RSA, ECDSA or Ed25519 key")
    return key


def _load_openssh(pem: bytes, passphrase: bytes | None) -> object:
    """Decodes a private key in OpenSSH's format. Raises the same exceptions as `_load`."""
    container = openssh.parse(pem)
    if container is None or container.cipher == b"none":
        return load_ssh_private_key(pem, None)
    if not passphrase:
        raise TypeError("the key needs a passphrase")
    return load_ssh_private_key(openssh.decrypt(container, passphrase), None)


def _load_pem(pem: bytes, passphrase: bytes | None) -> object:
    """Decodes a private key in PEM or PKCS#8. Raises the same exceptions as `_load`."""
    if passphrase and legacy_pem.is_aes_192(pem):
        return load_pem_private_key(legacy_pem.decrypt(pem, passphrase), None)
    return load_pem_private_key(pem, passphrase)


def _is_unknown(error: Exception) -> bool:
    """True if `error` means that the library `cryptography` does not support the cipher of the key.

    `error` is an exception that was raised while a key was decoded.
    """
    return isinstance(error, UnsupportedAlgorithm) or "unknown" in str(error).lower()


def _advice(error: Exception) -> str:
    if not _is_unknown(error):
        return ""
    return f" ({printable(str(error))}); put it into the ssh-agent, or encrypt it anew by: ssh-keygen -p -f FILE"


def _ask(prompt: str) -> bytes:
    """Asks for a passphrase on the terminal and returns it.

    A passphrase is never read from piped input. In the background mlogin does not ask, because a process in the
    background is stopped when it reads the terminal.

    Raises:
        Failure: there is no terminal, mlogin is in the background, or the user gave no passphrase.
    """
    obstacle = _obstacle_to_asking()
    if obstacle:
        key = prompt.rstrip(": ").partition(" for ")[2]
        raise Failure(f"{key} needs a passphrase, and {obstacle}; put it into ssh-agent")
    try:
        return getpass.getpass(prompt).encode()
    except EOFError:
        raise Failure("no passphrase given") from None


def _obstacle_to_asking() -> str:
    """Returns in words why mlogin cannot ask the user on the terminal; "" if mlogin can."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return "there is no terminal to ask on"
    try:
        return "" if os.tcgetpgrp(fd) == os.getpgrp() else "mlogin is in the background and cannot ask"
    finally:
        os.close(fd)
