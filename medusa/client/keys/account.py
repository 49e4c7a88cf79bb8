"""The user's account at a reflector or a Manta, and the private key that signs the account's requests.

A Manta is an object store that also runs jobs.

This module takes long to import, so import it only in functions that sign.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TypeVar

from medusa.client.keys.keyring import Keyring, Signer, describe, find_signer
from medusa.client.outcome import Failure
from medusa.protocol.attach_path import NO_ACCOUNTS
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
from medusa.protocol.record import record
from medusa.transports.dial import parse_url

__all__ = ["NONCE", "SIGNED", "Account", "find_signer"]

T = TypeVar("T")

NONCE = "medusa-nonce"
"""The name of a header field with a random value, which makes each signature different.

Without it, two equal requests within one second would have the same signature, and a reflector accepts a signature
only once.
"""

SIGNED = (REQUEST_TARGET, "host", "date", NONCE)
"""The parts of a request that a signature in the header covers. For other values of them it is not valid."""


@record
class Account:
    """An account and the private key that signs its requests.

    Attributes:
        login: the name of the account.
        user: the name of a subuser (a Manta account can have several users); None for the account itself.
        signer: the private key.
        clock: a function that returns the seconds since the epoch.
    """

    login: str
    user: str | None
    signer: Signer
    clock: Callable[[], float] = time.time

    @property
    def _keyring(self) -> Keyring | None:
        return self.signer if isinstance(self.signer, Keyring) else None

    @property
    def has_other_keys(self) -> bool:
        """True if there are keys that were not tried yet. `another_key` may find that none of them can be used."""
        return self._keyring is not None and self._keyring.has_more

    def another_key(self) -> bool:
        """Changes to the account's next key, which signs from now on. Call this after a key was refused.

        Returns False if there is no other key. May ask for a passphrase on the terminal.
        """
        return self._keyring is not None and self._keyring.advance()

    def accepted(self) -> None:
        """Keeps the present key from now on. Call this after the server has accepted the key."""
        if self._keyring is not None:
            self._keyring.settle()

    @property
    def key_id(self) -> KeyId:
        """The key's name in requests. It contains the key's MD5 fingerprint, the only kind that Manta accepts."""
        return KeyId(self.login, self.user, self.signer.public.md5)

    def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        """Signs one request. Returns its header fields Date, Medusa-Nonce and Authorization.

        Args:
            method: the request's method.
            target: the request's path and query, exactly as they will be sent.
            host: the value of the request's Host header.
        """
        return self._signed(lambda: self._authorization(method, target, host))

    def _authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        date = formatdate(self.clock(), usegmt=True)
        nonce = secrets.token_hex(8)
        signed = {"host": host, "date": date, NONCE: nonce}
        signature = self.signer.sign(header_text(SIGNED, method, target, signed))
        credentials = Credentials(self.key_id, self.signer.public.algorithm, SIGNED, signature)
        return [("Date", date), (NONCE.title(), nonce), ("Authorization", build_authorization(credentials))]

    def presign(self, base_url: str, path: str, lifetime: float, *, nonce: bool = False) -> str:
        """Returns a signed URL. Anybody who has it can GET `path` for `lifetime` seconds without a key.

        The signature does not cover the path of `base_url`: a proxy removes that path before it passes the request on.

        `nonce`: True to add a random parameter, which makes each URL different. Older reflectors refuse such URLs.
        """
        return self._signed(lambda: self._presign(base_url, path, lifetime, nonce))

    def _presign(self, base_url: str, path: str, lifetime: float, nonce: bool) -> str:
        parameters = {
            "algorithm": self.signer.public.algorithm.upper(),
            "expires": str(int(self.clock() + lifetime)),
            "keyId": str(self.key_id),
            **({"nonce": secrets.token_hex(8)} if nonce else {}),
        }
        host = parse_url(base_url).netloc
        signature = self.signer.sign(presigned_text("GET", host, path, parameters))
        return base_url.rstrip("/") + presigned_target(path, parameters, signature)

    def _signed(self, sign: Callable[[], T]) -> T:
        """Calls `sign` and returns its result. If `sign` raises Failure, calls it again with the account's next key.

        A key may fail to sign because the ssh-agent refuses, for example. Raises Failure if there is no other key.
        """
        while True:
            try:
                return sign()
            except Failure as failure:
                if self._keyring is None or not self._keyring.skip(str(failure)):
                    raise

    def to_check(self, host: str, reason: str = "") -> list[str]:
        """Returns lines for the user about a request that `host` has refused: what was sent, and what to check.

        `reason`: the text with which `host` refused the request.
        """
        if reason.startswith(NO_ACCOUNTS):
            return [f"  asked by account {self.name}; -a '' asks without an account"]
        now = formatdate(self.clock(), usegmt=True)
        found = self.keys_tried()
        if not found:
            return [
                f"  asked for host {printable(host)} by {self}; the clock here says {now}",
                "  check that this account has this key there, the host's name, and the clock",
            ]
        return [
            f"  asked for host {printable(host)} by account {self.name}; the clock here says {now}",
            *found,
            "  check that this account has one of these keys there, the host's name, and the clock",
            "  --account names another account ('': none), and --key another key",
        ]

    def keys_tried(self) -> list[str]:
        """Returns lines about the keys that were tried. Returns no lines if the user has named one key."""
        return [f"  {line}" for line in self._keyring.report()] if self._keyring is not None else []

    @property
    def name(self) -> str:
        """The name of the account, for messages. It is LOGIN or LOGIN/USER."""
        return printable(self.login if self.user is None else f"{self.login}/{self.user}")

    def __str__(self) -> str:
        """Returns the names of the account and its key, for messages."""
        return f"account {self.name}, key {describe(self.signer)}"
