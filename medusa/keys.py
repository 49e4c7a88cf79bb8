"""SSH public keys: parsed, named by fingerprint, and used to verify signatures. Only this file knows algorithms."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

MIN_RSA_BITS = 2048
"""NIST SP 800-131A: shorter keys are no longer trusted."""

MAX_RSA_BITS = 16384
"""OpenSSL verifies with no longer key."""

MAX_RSA_EXPONENT = 2**32
"""All programs use 65537. The time to verify grows with the exponent's length, to 8 ms at 3000 bits, and everybody who
knows the key's fingerprint can make a server spend it."""

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Algorithm(NamedTuple):
    """A signature algorithm.

    Attributes:
        kind: of the keys that it is for.
        digest: None if the algorithm has its own.
        weak: for old clients only.
    """

    kind: str
    digest: hashes.HashAlgorithm | None
    weak: bool = False


ALGORITHMS = {
    "rsa-sha1": Algorithm("rsa", hashes.SHA1(), weak=True),  # noqa: S303 - only if configured, for clients that know no other
    "rsa-sha256": Algorithm("rsa", hashes.SHA256()),
    "rsa-sha384": Algorithm("rsa", hashes.SHA384()),
    "rsa-sha512": Algorithm("rsa", hashes.SHA512()),
    "ecdsa-sha256": Algorithm("ecdsa", hashes.SHA256()),
    "ecdsa-sha384": Algorithm("ecdsa", hashes.SHA384()),
    "ecdsa-sha512": Algorithm("ecdsa", hashes.SHA512()),
    "ed25519": Algorithm("ed25519", None),
    "ed25519-sha512": Algorithm("ed25519", None),
}
"""The names that Manta's programs use, in lower case."""

_SSH_TYPES = (b"ssh-rsa", b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521")
"""Without the sk- types: their keys sign another text, although `cryptography` loads them as the plain kind."""

_CURVES: dict[str, ec.EllipticCurve] = {
    "ecdsa-sha256": ec.SECP256R1(),
    "ecdsa-sha384": ec.SECP384R1(),
    "ecdsa-sha512": ec.SECP521R1(),
}
_CURVE_ALGORITHM = {curve.name: algorithm for algorithm, curve in _CURVES.items()}


class BadKey(Exception):
    """A key that cannot be used; the text says why."""


class PublicKey:
    """A public key.

    Attributes:
        kind: rsa, ecdsa or ed25519.
        md5, sha256: its fingerprints, in the form of a keyId.
        algorithm: the name of the algorithm that its owner signs with.
    """

    def __init__(self, key: object) -> None:
        """Raises BadKey."""
        if isinstance(key, rsa.RSAPublicKey):
            if key.key_size < MIN_RSA_BITS:
                raise BadKey("an RSA key of %d bits is too short; %d are needed" % (key.key_size, MIN_RSA_BITS))
            if key.key_size > MAX_RSA_BITS or key.public_numbers().e > MAX_RSA_EXPONENT:
                raise BadKey("an RSA key of more than %d bits, or with a huge exponent" % MAX_RSA_BITS)
            self.kind, self.algorithm = "rsa", "rsa-sha256"
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVE_ALGORITHM:
            self.kind, self.algorithm = "ecdsa", _CURVE_ALGORITHM[key.curve.name]
        elif isinstance(key, ed25519.Ed25519PublicKey):
            self.kind, self.algorithm = "ed25519", "ed25519-sha512"
        else:
            raise BadKey("not an RSA, ECDSA or Ed25519 key")
        self._key: Key = key
        form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        blob = base64.b64decode(key.public_bytes(*form).split()[1])
        self.md5 = hashlib.md5(blob, usedforsecurity=False).digest().hex(":")
        digest = hashlib.sha256(blob).digest()
        self.sha256 = "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")

    @classmethod
    def from_ssh(cls, line: bytes) -> PublicKey:
        """From `TYPE BASE64 [COMMENT]`, as in a .pub file. Raises BadKey."""
        words = line.split()[:2]
        try:
            if not words or words[0] not in _SSH_TYPES:
                raise ValueError
            return cls(serialization.load_ssh_public_key(b" ".join(words)))
        except (ValueError, binascii.Error, UnsupportedAlgorithm):
            raise BadKey("not an RSA, ECDSA or Ed25519 key in OpenSSH's form") from None

    def matches(self, fingerprint: str) -> bool:
        """Whether `fingerprint` is this key's, in the form of a keyId or of ssh-keygen."""
        return fingerprint.removeprefix("MD5:").lower() == self.md5 or fingerprint.rstrip("=") == self.sha256

    def takes(self, algorithm: str) -> bool:
        """Whether `algorithm`, a key of ALGORITHMS, is for this kind of key. Each elliptic curve has one digest."""
        used = ALGORITHMS.get(algorithm)
        return used is not None and used.kind == self.kind and (used.kind != "ecdsa" or algorithm == self.algorithm)

    def verify(self, algorithm: str, signature: bytes, text: bytes) -> bool:
        """Whether `signature` is this key's over `text`. False as well if the key does not take the algorithm."""
        if not self.takes(algorithm):
            return False
        used = ALGORITHMS[algorithm]
        try:
            if isinstance(self._key, rsa.RSAPublicKey):
                assert used.digest is not None
                self._key.verify(signature, text, padding.PKCS1v15(), used.digest)
            elif isinstance(self._key, ec.EllipticCurvePublicKey):
                assert used.digest is not None
                self._key.verify(signature, text, ec.ECDSA(used.digest))
            else:
                self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


@functools.cache
def decoy(algorithm: str) -> PublicKey:
    """A key that nobody has, for an algorithm of ALGORITHMS. To verify with it takes as long as with a real key."""
    kind = ALGORITHMS[algorithm].kind
    if kind == "rsa":
        return PublicKey(rsa.RSAPublicNumbers(65537, 2**2048 - 1).public_key())
    if kind == "ed25519":
        return PublicKey(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    return PublicKey(ec.derive_private_key(1, _CURVES[algorithm]).public_key())
