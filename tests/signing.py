"""Signs requests like Manta's programs, with code that shares nothing with the code under test."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tests.peers import upgrade

STRONG = ("(request-target)", "host", "date")
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
CURVES: dict[str, ec.EllipticCurve] = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "521": ec.SECP521R1()}


class Key:
    """A private key: `rsa`, `rsa1024`, `ed25519`, `ecdsa256`, `ecdsa384` or `ecdsa521`."""

    def __init__(self, kind: str) -> None:
        self._private: Any
        if kind.startswith("rsa"):
            self._private, self.algorithm = rsa.generate_private_key(65537, int(kind[3:] or 2048)), "rsa-sha256"
        elif kind == "ed25519":
            self._private, self.algorithm = ed25519.Ed25519PrivateKey.generate(), "ed25519-sha512"
        else:
            self._private = ec.generate_private_key(CURVES[kind[5:]])
            self.algorithm = {"256": "ecdsa-sha256", "384": "ecdsa-sha384", "521": "ecdsa-sha512"}[kind[5:]]
        form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        self.line: bytes = self._private.public_key().public_bytes(*form) + b" someone@somewhere\n"
        blob = base64.b64decode(self.line.split()[1])
        self.md5 = ":".join(f"{byte:02x}" for byte in hashlib.md5(blob).digest())
        self.sha256 = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")

    def sign(self, text: str, algorithm: str = "") -> bytes:
        digest = HASHES.get((algorithm or self.algorithm).partition("-")[2], hashes.SHA256())
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(text.encode(), padding.PKCS1v15(), digest)
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(text.encode())
        signature: bytes = self._private.sign(text.encode(), ec.ECDSA(digest))
        return signature

    def pem(self) -> bytes:
        """The private key in the format of ssh-keygen."""
        form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
        data: bytes = self._private.private_bytes(*form, serialization.NoEncryption())
        return data


class Keys:
    """Private keys, each made at its first use: one of each kind, and one named `stranger`, which no account has.

    Not a dict: which keys were made already depends on the tests that ran before.
    """

    def __init__(self) -> None:
        self._made: dict[str, Key] = {}

    def __getitem__(self, name: str) -> Key:
        if name not in self._made:
            self._made[name] = Key("ed25519" if name == "stranger" else name)
        return self._made[name]


def write_key(path: Path, key: Key) -> Path:
    """Writes a key file, which only its owner can read."""
    path.touch(0o600)
    path.write_bytes(key.pem())
    return path


def date(offset: float = 0) -> str:
    return formatdate(time.time() + offset, usegmt=True)


def authorization(
    key: Key,
    owner: str,
    target: str,
    host: str,
    when: str,
    names: Sequence[str] = STRONG,
    **changed: str,
) -> str:
    """The value of the header for a GET.

    Args:
        owner: LOGIN or LOGIN/USER.
        changed: other values for parameters of the header, and `method`.
    """
    algorithm = changed.get("algorithm", key.algorithm)
    method = changed.pop("method", "get")
    lines = {"(request-target)": f"{method} {target}", "host": host, "date": when}
    text = "\n".join(f"{name}: {lines[name]}" for name in names)
    fields = {
        "keyId": f"/{owner}/keys/{key.md5}",
        "algorithm": algorithm,
        "headers": " ".join(names),
        "signature": base64.b64encode(key.sign(text, algorithm)).decode(),
    }
    return "Signature " + ",".join(f'{name}="{value}"' for name, value in (fields | changed).items())


def signed_request(key: Key, login: str, path: str, host: str, ago: float = 0, **changed: str) -> bytes:
    """An upgrade like mlogin's, with a header that was signed `ago` seconds ago."""
    when = date(-ago)
    return upgrade(path, host=host, date=when, authorization=authorization(key, login, path, host, when, **changed))


def signed_target(
    key: Key, owner: str, path: str, host: str, expires: object = None, verb: str = "GET", **changed: str
) -> str:
    """The path and query of a pre-signed URL. `changed`: further or other parameters, which are signed as well."""
    parameters = {
        "algorithm": key.algorithm.upper(),
        "expires": str(int(time.time()) + 300 if expires is None else expires),
        "keyId": f"/{owner}/keys/{key.md5}",
    } | changed
    query = "&".join(f"{quote(name, safe='')}={quote(parameters[name], safe='')}" for name in sorted(parameters))
    text = "\n".join([changed.get("method", verb), host, path, query])
    signature = base64.b64encode(key.sign(text, parameters["algorithm"].lower())).decode()
    return f"{path}?{query}&signature={quote(signature, safe='')}"


def attach_path(login: str, session: str, role: str) -> str:
    return f"/{login}/medusa/attach/{session}/{role}"


def allow(accounts: Path, login: str, *keys: Key, user: str = "") -> None:
    """Writes the file of an account, or of its user."""
    path = accounts / f"{login}.users" / user if user else accounts / login
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_bytes(b"# keys\n\n" + b"".join(key.line for key in keys))
    path.chmod(0o644)
