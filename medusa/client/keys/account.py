"""Who the user is to a front door: an account, and a private key that signs for it.

Imported only where something is signed: it takes time to load.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Protocol

from medusa.client.keys import keyfile
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from medusa.protocol.http.signature import (
    REQUEST_TARGET,
    Credentials,
    KeyId,
    build_authorization,
    header_text,
    presigned_target,
    presigned_text,
)
from medusa.protocol.printable import printable
from medusa.transports.dial import parse_url

SIGNED = (REQUEST_TARGET, "host", "date")
"""The fields that a header's signature covers: good for one request at one host, while its date is believed."""


class Signer(Protocol):
    """A private key, wherever it lies."""

    @property
    def public(self) -> PublicKey:
        """Its public half."""

    @property
    def where(self) -> str:
        """Where it lies, for people."""

    def sign(self, text: bytes) -> bytes:
        """The signature by `public.algorithm`; ECDSA's in DER. Raises Failure."""


@dataclass(frozen=True)
class Account:
    """An account, perhaps a subuser of it, and its key. `clock` gives seconds since the epoch."""

    login: str
    user: str | None
    signer: Signer
    clock: Callable[[], float] = time.time

    @property
    def key_id(self) -> KeyId:
        """By MD5: Manta knows no other fingerprint."""
        return KeyId(self.login, self.user, self.signer.public.md5)

    def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        """Date and Authorization for a request.

        Args:
            target: path and query as they stand in the request.
            host: the value of its Host header.
        """
        date = formatdate(self.clock(), usegmt=True)
        signature = self.signer.sign(header_text(SIGNED, method, target, {"host": host, "date": date}))
        credentials = Credentials(self.key_id, self.signer.public.algorithm, SIGNED, signature)
        return [("Date", date), ("Authorization", build_authorization(credentials))]

    def presign(self, base_url: str, path: str, lifetime: float) -> str:
        """A URL with which anybody can GET `path` for `lifetime` seconds.

        A path in `base_url` is not signed: it belongs to a proxy that takes it off again.
        """
        parameters = {
            "algorithm": self.signer.public.algorithm.upper(),
            "expires": str(int(self.clock() + lifetime)),
            "keyId": str(self.key_id),
        }
        host = parse_url(base_url).netloc
        signature = self.signer.sign(presigned_text("GET", host, path, parameters))
        return base_url.rstrip("/") + presigned_target(path, parameters, signature)

    def to_check(self, host: str) -> list[str]:
        """After a refusal, for people: what was claimed, and what to look at."""
        now = formatdate(self.clock(), usegmt=True)
        return [
            f"  asked for host {printable(host)} by {self}; the clock here says {now}",
            "  check that this account has this key there, the host's name, and the clock",
        ]

    def __str__(self) -> str:
        """For people: whose, and which key."""
        who = printable(self.login if self.user is None else f"{self.login}/{self.user}")
        public = self.signer.public
        return f"account {who}, key {public.md5} ({public.kind}, {printable(self.signer.where)})"


def find_signer(key: str | None) -> Signer:
    """The private key that `key` names.

    Args:
        key: its fingerprint (MD5 or SHA256), looked for in the ssh-agent and then in ~/.ssh; or a path of its file.

    Raises:
        Failure: there is none, or it cannot be used.
    """
    if not key:
        raise Failure("no key to sign with; give one by --key or MANTA_KEY_ID, as a fingerprint or a file")
    if not _is_fingerprint(key):
        path = Path(os.path.expanduser(key))
        if not path.is_file():
            how = "ssh-keygen -l -E md5 -f FILE shows one"
            raise Failure(f"no key file {printable(key)}, and that is no fingerprint either ({how})")
        return keyfile.KeyFile(path).signer()
    from medusa.client.keys import ssh_agent  # slow to load

    held, useless = ssh_agent.signers()
    for signer in held:
        if signer.public.matches(key):
            return signer
    return _from_home(key, [*(f"{signer.public.md5} in ssh-agent" for signer in held), *useless])


def _from_home(fingerprint: str, seen: list[str]) -> Signer:
    directory = Path(os.path.expanduser("~/.ssh"))
    for file in keyfile.files_in(directory):
        public = file.public()
        if public is not None and public.matches(fingerprint):
            return file.signer()
        seen.append(f"{public.md5 if public else 'a key that cannot be looked into'} in {file.path}")
    name = printable(fingerprint)
    lines = [f"no key {name} in ssh-agent or {directory}; found there:", *(f"  {printable(s)}" for s in seen)]
    raise Failure("\n".join(lines) if seen else f"no key {name}: none at all in ssh-agent or {directory}")


def _is_fingerprint(text: str) -> bool:
    text = text.removeprefix("MD5:")
    md5 = text.count(":") == 15 and all(len(part) == 2 for part in text.split(":"))
    return md5 or text.startswith("SHA256:")
