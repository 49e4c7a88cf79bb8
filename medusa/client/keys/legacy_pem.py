"""Decrypts private keys that are encrypted with AES-192, in the PEM format of `openssl rsa`.

In this format, header fields before the key name the cipher (RFC 1421). The library `cryptography` decrypts such keys
with other ciphers, but not with AES-192.
"""

from __future__ import annotations

import base64
import hashlib
import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

_FIELDS = re.compile(rb"(-----BEGIN .*-----\n)Proc-Type:.*\nDEK-Info: *AES-192-CBC,([0-9A-Fa-f]{32})\n\n([^-]*)(-.*\n)")
_KEY_SIZE = 24


def is_aes_192(pem: bytes) -> bool:
    """True if `pem`, a private key in PEM, is encrypted with AES-192. The header fields of `pem` say that."""
    return _FIELDS.fullmatch(pem) is not None


def decrypt(pem: bytes, passphrase: bytes) -> bytes:
    """Decrypts the private key in `pem`. Returns it in PEM without encryption.

    A wrong passphrase usually raises ValueError. Sometimes it is not noticed, and the returned key is rubbish.

    Raises:
        ValueError: the passphrase is wrong, or the key is malformed.
    """
    found = _FIELDS.fullmatch(pem)
    if found is None:
        raise ValueError("not encrypted by AES-192")
    iv = bytes.fromhex(found[2].decode("ascii"))
    decryptor = Cipher(algorithms.AES(_derive(passphrase, iv[:8])), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    plain = unpadder.update(decryptor.update(base64.b64decode(found[3])) + decryptor.finalize()) + unpadder.finalize()
    return found[1] + base64.encodebytes(plain) + found[4]


def _derive(passphrase: bytes, salt: bytes) -> bytes:
    """Returns the key for the cipher, made from the passphrase as OpenSSL's EVP_BytesToKey does (MD5, one round)."""
    key = block = b""
    while len(key) < _KEY_SIZE:
        block = hashlib.md5(block + passphrase + salt, usedforsecurity=False).digest()
        key += block
    return key[:_KEY_SIZE]
