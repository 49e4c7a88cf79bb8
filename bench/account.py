"""Makes an account of a reflector, with an Ed25519 key: for the rows with signed requests."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from bench.toolchain import HERE

LOGIN = "bench"


class Account(NamedTuple):
    """An account that the load generator can sign for.

    Attributes:
        directory: the directory of accounts, for the reflector's option --accounts.
        key: the path of the private key, in PEM.
        key_id: the key's name in a signature.
    """

    directory: Path
    key: Path
    key_id: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The options of the load generator that make it sign."""
        path = f"/{LOGIN}/medusa/attach/{{id}}/"
        sides = ("--path-master", path + "master", "--path-slave", path + "slave")
        return (*sides, "--sign-key", str(self.key), "--sign-id", self.key_id)


def made(directory: Path = HERE / "build") -> Account:
    """Returns the account below `directory`. Makes it if it is missing."""
    from cryptography.hazmat.primitives import serialization  # takes long to import, and most rows need no account
    from cryptography.hazmat.primitives.asymmetric import ed25519

    accounts, key = directory / "accounts", directory / f"{LOGIN}.key"
    accounts.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not key.exists():
        draft = key.with_name(f"{key.name}.{os.getpid()}")  # two benchmarks may make it at the same time
        draft.touch(mode=0o600)
        draft.write_bytes(
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        draft.replace(key)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    line = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    public = accounts / LOGIN
    if not public.exists() or public.read_bytes() != line + b"\n":
        public.write_bytes(line + b"\n")
        public.chmod(0o644)
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    fingerprint = base64.b64encode(digest).decode().rstrip("=")
    return Account(accounts, key, f"/{LOGIN}/keys/SHA256:{fingerprint}")
