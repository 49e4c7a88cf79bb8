"""An account at a reflector or a Manta, and the private key that signs the account's requests.

This module takes long to import, so import it only in functions that sign.
"""

from __future__ import annotations

import os
import secrets
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

NONCE = "medusa-nonce"
"""A header field with a random value. Without it, two requests within one second have the same signature.

A reflector accepts a signature once.
"""

SIGNED = (REQUEST_TARGET, "host", "date", NONCE)
"""The parts of a request that a signature in the header covers. So it is valid for one target, host and date."""


class Signer(Protocol):
    """A private key that can sign. It is in a file or in an ssh-agent."""

    @property
    def public(self) -> PublicKey:
        """The public key that belongs to this private key."""

    @property
    def where(self) -> str:
        """The place of the key, for messages: the path of its file, or `ssh-agent`."""

    def sign(self, text: bytes) -> bytes:
        """Returns the signature of `text` by `public.algorithm`. ECDSA signatures are DER-encoded. Raises Failure."""


@dataclass(frozen=True)
class Account:
    """An account and the private key that signs its requests.

    Attributes:
        login: the name of the account.
        user: a subuser of the account; None for the account itself.
        signer: the private key.
        clock: a function that returns the seconds since the epoch.
    """

    login: str
    user: str | None
    signer: Signer
    clock: Callable[[], float] = time.time

    @property
    def key_id(self) -> KeyId:
        """The name of the key in requests. It contains the MD5 fingerprint, because Manta accepts no other."""
        return KeyId(self.login, self.user, self.signer.public.md5)

    def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        """Signs one request. Returns its header fields Date, Medusa-Nonce and Authorization.

        Args:
            method: the request's method.
            target: the request's path and query, exactly as they will be sent.
            host: the value of the request's Host header.
        """
        date = formatdate(self.clock(), usegmt=True)
        nonce = secrets.token_hex(8)
        signed = {"host": host, "date": date, NONCE: nonce}
        signature = self.signer.sign(header_text(SIGNED, method, target, signed))
        credentials = Credentials(self.key_id, self.signer.public.algorithm, SIGNED, signature)
        return [("Date", date), (NONCE.title(), nonce), ("Authorization", build_authorization(credentials))]

    def presign(self, base_url: str, path: str, lifetime: float) -> str:
        """Returns a signed URL. Anybody who has it can GET `path` for `lifetime` seconds without a key.

        The signature leaves out the path of `base_url`, because that path is for a proxy that removes it.
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
        """Returns lines for the user if `host` has refused a signed request: what was sent, and what to check."""
        now = formatdate(self.clock(), usegmt=True)
        return [
            f"  asked for host {printable(host)} by {self}; the clock here says {now}",
            "  check that this account has this key there, the host's name, and the clock",
        ]

    def __str__(self) -> str:
        """Returns the names of the account and its key, for messages."""
        who = printable(self.login if self.user is None else f"{self.login}/{self.user}")
        public = self.signer.public
        return f"account {who}, key {public.md5} ({public.kind}, {printable(self.signer.where)})"


def find_signer(key: str | None) -> Signer:
    """Returns the private key that `key` names. May ask for its passphrase on the terminal.

    Args:
        key: the path of the key's file, or the key's fingerprint (MD5 or SHA256). A fingerprint is looked up in the
            ssh-agent, then in ~/.ssh.

    Raises:
        Failure: there is no such key, or it cannot be used.
    """
    if not key:
        raise Failure("no key to sign with; give one by --key or MANTA_KEY_ID, as a fingerprint or a file")
    if not _is_fingerprint(key):
        path = Path(os.path.expanduser(key))
        if not path.is_file():
            how = "ssh-keygen -l -E md5 -f FILE shows one"
            raise Failure(f"no key file {printable(key)}, and that is no fingerprint either ({how})")
        return keyfile.KeyFile(path).signer()
    from medusa.client.keys import ssh_agent  # takes long to import

    usable, useless = ssh_agent.signers()
    for signer in usable:
        if signer.public.matches(key):
            return signer
    seen = [*(f"{signer.public.md5} in ssh-agent" for signer in usable), *useless]
    return _from_home(key, seen, None if seen else ssh_agent.problem())


def _from_home(fingerprint: str, seen: list[str], problem: str | None) -> Signer:
    """Returns the private key in ~/.ssh that has the fingerprint.

    Args:
        fingerprint: an MD5 or SHA256 fingerprint, in the form that the user gave.
        seen: a description of each key that is in the ssh-agent, for the text of a Failure.
        problem: why the ssh-agent does not list its keys, for the text of a Failure; None if there is no such reason.

    Raises:
        Failure: no key in ~/.ssh has the fingerprint, or the key cannot be used.
    """
    directory = Path(os.path.expanduser("~/.ssh"))
    for file in keyfile.files_in(directory):
        public = file.public()
        if public is not None and public.matches(fingerprint):
            return file.signer()
        seen.append(f"{public.md5 if public else 'a key that cannot be looked into'} in {file.path}")
    name = printable(fingerprint)
    lines = [f"no key {name} in ssh-agent or {directory}; found there:", *(f"  {printable(s)}" for s in seen)]
    if not seen:
        lines = [f"no key {name}: none at all in ssh-agent or {directory}"]
    raise Failure("\n".join(lines if problem is None else [*lines, problem]))


def _is_fingerprint(text: str) -> bool:
    text = text.removeprefix("MD5:")
    md5 = text.count(":") == 15 and all(len(part) == 2 for part in text.split(":"))
    return md5 or text.startswith("SHA256:")
