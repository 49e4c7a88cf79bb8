"""Reads and decrypts private keys in OpenSSH's format.

OpenSSH's documents PROTOCOL.key and PROTOCOL.chacha20poly1305 describe the format. The library `cryptography` decodes
the keys, but it cannot decrypt them with all of OpenSSH's ciphers. So this module decrypts them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import NamedTuple

import bcrypt
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.poly1305 import Poly1305

from medusa.client.keys.ssh_string import join, split

_MAGIC = b"openssh-key-v1\0"
_LABEL = b"OPENSSH PRIVATE KEY"
_MAX_ROUNDS = 10_000
"""A key that needs more rounds of the key derivation is refused. ssh-keygen uses 16 or 24; 10,000 take minutes."""


class Container(NamedTuple):
    """A private key in OpenSSH's format.

    Attributes:
        cipher: the name of the cipher; `none` if the key is not encrypted.
        derivation: the salt and the number of rounds for bcrypt, encoded.
        number: the number of keys, encoded. It is always 1.
        public: the public key, encoded.
        private: the private key, encoded and encrypted.
        tag: the bytes that authenticate `private`; b"" if the cipher has no authentication.
    """

    cipher: bytes
    derivation: bytes
    number: bytes
    public: bytes
    private: bytes
    tag: bytes

    @property
    def public_line(self) -> bytes:
        """The public key as `TYPE BASE64`; empty if it is malformed."""
        try:
            return split(self.public)[0] + b" " + base64.b64encode(self.public)
        except ValueError:
            return b""


def parse(pem: bytes) -> Container | None:
    """Parses a private key in PEM and returns its parts. Returns None if it is malformed or not in OpenSSH's format."""
    body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
    try:
        blob = base64.b64decode(body, validate=True)
        if not blob.startswith(_MAGIC):
            return None
        cipher, rest = split(blob[len(_MAGIC) :])
        _, rest = split(rest)  # the name of the key derivation, of which there is only one
        derivation, rest = split(rest)
        number, rest = rest[:4], rest[4:]
        public, rest = split(rest)
        private, tag = split(rest)
    except ValueError:
        return None
    return Container(cipher, derivation, number, public, private, tag)


def decrypt(found: Container, passphrase: bytes) -> bytes:
    """Decrypts the private key `found`. Returns it in PEM without encryption.

    With some ciphers a wrong passphrase is not noticed. Then the returned key is rubbish.

    Raises:
        UnsupportedAlgorithm: the cipher is not one of OpenSSH's.
        ValueError, InvalidTag: the passphrase is wrong, or the key is malformed.
    """
    if found.cipher not in _CIPHERS:
        raise UnsupportedAlgorithm(f"unknown cipher {found.cipher!r}")
    key_size, iv_size, function = _CIPHERS[found.cipher]
    salt, rest = split(found.derivation)
    rounds = int.from_bytes(rest[:4], "big")
    if not salt or not 0 < rounds <= _MAX_ROUNDS:
        raise ValueError(f"{rounds} rounds of the key derivation")
    secret = bcrypt.kdf(passphrase, salt, key_size + iv_size, rounds, ignore_few_rounds=True)
    private = function(secret[:key_size], secret[key_size:], found.private, found.tag)
    blob = _MAGIC + join(b"none", b"none", b"") + found.number + join(found.public, private)
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (_LABEL, base64.encodebytes(blob), _LABEL)


_Function = Callable[[bytes, bytes, bytes, bytes], bytes]
"""A function that decrypts. Takes the cipher's key, the initialization vector, the encrypted data and their tag."""


def _aes_ctr(key: bytes, iv: bytes, data: bytes, _: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(iv)).decryptor().update(data)


def _aes_cbc(key: bytes, iv: bytes, data: bytes, _: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor().update(data)


def _triple_des(key: bytes, iv: bytes, data: bytes, _: bytes) -> bytes:
    return Cipher(TripleDES(key), modes.CBC(iv)).decryptor().update(data)


def _aes_gcm(key: bytes, iv: bytes, data: bytes, tag: bytes) -> bytes:
    return AESGCM(key).decrypt(iv, data + tag, None)


def _chacha20_poly1305(key: bytes, _: bytes, data: bytes, tag: bytes) -> bytes:
    key = key[:32]  # the other half is for the length of a packet
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), None).decryptor()
    poly_key = stream.update(bytes(64))[:32]  # block 0 of the stream; the data follow from block 1
    try:
        Poly1305.verify_tag(poly_key, data, tag)
    except InvalidSignature:
        raise InvalidTag from None
    return stream.update(data)


_CIPHERS: dict[bytes, tuple[int, int, _Function]] = {
    b"aes128-ctr": (16, 16, _aes_ctr),
    b"aes192-ctr": (24, 16, _aes_ctr),
    b"aes256-ctr": (32, 16, _aes_ctr),
    b"aes128-cbc": (16, 16, _aes_cbc),
    b"aes192-cbc": (24, 16, _aes_cbc),
    b"aes256-cbc": (32, 16, _aes_cbc),
    b"3des-cbc": (24, 8, _triple_des),
    b"aes128-gcm@openssh.com": (16, 12, _aes_gcm),
    b"aes256-gcm@openssh.com": (32, 12, _aes_gcm),
    b"chacha20-poly1305@openssh.com": (64, 0, _chacha20_poly1305),
}
"""OpenSSH's ciphers: name -> bytes of the key, bytes of the initialization vector, the function that decrypts."""
