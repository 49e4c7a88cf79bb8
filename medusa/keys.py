"""Parses SSH public keys, computes their fingerprints and verifies signatures. Only this file knows the algorithms."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

MIN_RSA_BITS = 2048
"""The shortest RSA key that is accepted, in bits: NIST SP 800-131A no longer trusts shorter keys."""

MAX_RSA_BITS = 16384
"""The longest RSA key that is accepted, in bits: OpenSSL refuses to verify with a longer key."""

MAX_RSA_EXPONENT = 2**32
"""The largest exponent of an RSA key that is accepted. All programs use 65537.

The time to verify a signature grows with the length of the exponent. It is 8 ms for an exponent of 3000 bits. Anybody
who knows the key's fingerprint can make a server spend that time.
"""

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Algorithm(NamedTuple):
    """A signature algorithm.

    Attributes:
        kind: the kind of key that the algorithm works with: rsa, ecdsa or ed25519.
        digest: the hash function for the text that is signed; None if the algorithm has its own hash function.
        weak: True if the algorithm is insecure, and only old clients need it.
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
"""The signature algorithms, by the names that Manta's programs use, in lower case."""

SSH_TYPES = (b"ssh-rsa", b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521")
"""The types of SSH keys that are accepted.

The types that begin with "sk-" (security keys) are not accepted. `cryptography` loads such a key as an ordinary key.
But the device adds data of its own before it signs a text, so each verification with an ordinary key would fail.
"""

_NOT_OURS = "not an RSA, ECDSA or Ed25519 key in OpenSSH's form"

_CURVES: dict[str, ec.EllipticCurve] = {
    "ecdsa-sha256": ec.SECP256R1(),
    "ecdsa-sha384": ec.SECP384R1(),
    "ecdsa-sha512": ec.SECP521R1(),
}
_CURVE_ALGORITHM = {curve.name: algorithm for algorithm, curve in _CURVES.items()}


class BadKey(Exception):
    """Raised if a key cannot be used. The text says why."""


class PublicKey:
    """A public key of an accepted kind, length and curve.

    Attributes:
        kind: rsa, ecdsa or ed25519.
        md5, sha256: the key's fingerprints, in the forms that a keyId in a signed request has.
        algorithm: the name of the algorithm with which the key's owner signs.
    """

    def __init__(self, key: object) -> None:
        """Takes `key`, a public key of the package `cryptography`. Raises BadKey if the key is not accepted."""
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
        """Returns the key in a line `TYPE BASE64 [COMMENT]`, as in a .pub file. Raises BadKey if it cannot be used."""
        words = line.split()[:2]
        if not words or words[0] not in SSH_TYPES:
            raise BadKey(_NOT_OURS)
        try:
            key = serialization.load_ssh_public_key(b" ".join(words))
        except Exception:  # noqa: BLE001 - also NotImplementedError, for a compressed point; no key may hide others
            raise BadKey(_NOT_OURS) from None
        return cls(key)

    def matches(self, fingerprint: str) -> bool:
        """Returns True if `fingerprint`, in the form of a keyId or of ssh-keygen, is the fingerprint of this key."""
        return fingerprint.removeprefix("MD5:").lower() == self.md5 or fingerprint.rstrip("=") == self.sha256

    def takes(self, algorithm: str) -> bool:
        """Returns True if `algorithm`, a name in ALGORITHMS, works with this key.

        An ECDSA key works with only one algorithm, because each elliptic curve has one digest.
        """
        used = ALGORITHMS.get(algorithm)
        return used is not None and used.kind == self.kind and (used.kind != "ecdsa" or algorithm == self.algorithm)

    def verify(self, algorithm: str, signature: bytes, text: bytes) -> bool:
        """Returns True if `signature` is a signature of `text` by this key.

        Returns False too if the algorithm does not work with this key.
        """
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


def numbered_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (line number, line) for each line of a public-key file. Skips blank lines and comments.

    Editors on Windows may have written the file: its lines may end in CRLF, and it may begin with a byte order mark.
    """
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        words = line.split(None, 1)
        if words and not words[0].startswith(b"#"):
            yield number, line


def first_public(data: bytes) -> PublicKey | None:
    """Returns the first usable key in `data`, the content of a file such as `id_ed25519.pub`; None if there is none."""
    for _, line in numbered_lines(data):
        with contextlib.suppress(BadKey):
            return PublicKey.from_ssh(line)
    return None


@functools.cache
def decoy(algorithm: str) -> PublicKey:
    """Returns a key that belongs to no account, and that works with `algorithm`, a name in ALGORITHMS.

    If the key that a request names does not exist, the signature is verified with this key instead. That takes as long
    as with a real key. So the time until the refusal does not show whether the key exists.
    """
    kind = ALGORITHMS[algorithm].kind
    if kind == "rsa":
        return PublicKey(rsa.RSAPublicNumbers(65537, 2**2048 - 1).public_key())
    if kind == "ed25519":
        return PublicKey(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    return PublicKey(ec.derive_private_key(1, _CURVES[algorithm]).public_key())
