"""Checks that a request is signed by the account that its path names, or by one of the account's users."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from medusa.protocol.http.head import Request
from medusa.protocol.http.signature import KeyId, SignatureError
from medusa.protocol.record import record
from medusa.reflector.auth.denials import denied, unknown, used_before
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.auth.signed_claim import ClaimReader, SignedClaim
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.session_name import SessionName
from medusa.session import Side

if TYPE_CHECKING:
    # The package cryptography takes long to import. What opens the accounts imports it, and a reflector without
    # accounts does not.
    from medusa.keys import PublicKey
    from medusa.reflector.auth.accounts import Accounts


@record
class Grant:
    """The result of a successful check: a key of the account, or of one of its users, has signed the request.

    Attributes:
        key_id: names the key that has signed, and its account.
        digest: the digest of the signed text. A signature with this digest may be used once; see SingleUse.reserve.
        until: the time at which the signature expires, in seconds since the epoch.
    """

    key_id: KeyId
    digest: bytes
    until: float


class Authenticator:
    """Checks signed requests with the public keys of `accounts`. `clock` returns seconds since the epoch."""

    def __init__(self, config: ReflectorConfig, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._accounts = accounts
        self._reader = ClaimReader(config, clock)
        self.nonces = ReplayCache(clock)

    def check(self, request: Request, name: SessionName, side: Side) -> Grant:
        """Checks the signature of a request to attach to the session `name`. Returns what the signature proves.

        The account of the session, or one of the account's users, must have signed the request. Call SingleUse.reserve
        with the returned Grant next, so the signature cannot be used twice.

        Args:
            side: the side of the session to which the peer wants to attach: client or agent.

        Raises:
            Refusal: the signature is missing, wrong, expired or used before. The refusal is made by `denied`.
        """
        self.check_host(request)
        try:
            claim = self._reader.read(request, side)
        except SignatureError as error:
            raise denied(401, str(error)) from None
        if claim.key_id.login != name.login:
            raise unknown("signed by another login: " + claim.key_id.login)
        key = self._key(claim)
        digest = _digest(key, name, side, claim.text)
        if self.nonces.used(digest):
            raise used_before()
        return Grant(claim.key_id, digest, claim.until)

    def check_admin(self, request: Request) -> Grant:
        """Checks the signature of an administrator in the Authorization header. Returns what the signature proves.

        An account that the option --admins names must have signed `request`. A signature by a user of such an account
        is refused. If the request changes something, call SingleUse.reserve with the returned Grant next, so the
        signature cannot be used twice.

        Raises:
            Refusal: the signature is missing, wrong, expired or used before. The refusal is made by `denied`.
        """
        claim = self._header_only(request)
        key = self._key(claim)
        if claim.key_id.login not in self._config.admins or claim.key_id.user is not None:
            raise denied(403, "this is for the accounts that --admins names")
        return self._unused(b"admin\n", key, claim)

    def check_reader(self, request: Request, login: str) -> Grant:
        """Checks the signature of a request that changes nothing. Returns what the signature proves.

        The account `login`, or one of its users, must have signed `request` in its Authorization header. The signature
        can be used again until its Date header is too old.

        Raises:
            Refusal: the signature is missing, wrong, expired, or made by another account. The refusal is made by
                `denied`.
        """
        claim, _ = self._of_owner(request, login)
        return Grant(claim.key_id, b"", claim.until)

    def check_owner(self, request: Request, login: str) -> Grant:
        """Checks the signature of a request that changes something. Returns what the signature proves.

        The account `login`, or one of its users, must have signed `request` in its Authorization header. Call
        SingleUse.reserve with the returned Grant next, so the signature cannot be used twice.

        Raises:
            Refusal: the signature is missing, wrong, expired, made by another account, or used before.
        """
        claim, key = self._of_owner(request, login)
        return self._unused(b"owner\n", key, claim)

    def _of_owner(self, request: Request, login: str) -> tuple[SignedClaim, PublicKey]:
        claim = self._header_only(request)
        if claim.key_id.login != login:
            raise unknown("signed by another login: " + claim.key_id.login)
        return claim, self._key(claim)

    def _unused(self, purpose: bytes, key: PublicKey, claim: SignedClaim) -> Grant:
        """Returns the Grant for a verified signature that was not used before. Otherwise raises Refusal.

        `purpose`: a prefix, which is different for each kind of request.
        """
        digest = hashlib.sha256(purpose + key.sha256.encode() + b"\n" + claim.text).digest()
        if self.nonces.used(digest):
            raise used_before()
        return Grant(claim.key_id, digest, claim.until)

    def has_key(self, key_id: KeyId) -> bool:
        """Returns True if the account, or the account's user, has the key that `key_id` names."""
        return self._accounts.find(*key_id) is not None

    def _header_only(self, request: Request) -> SignedClaim:
        """Returns the signature in the Authorization header, which is not verified yet.

        Raises Refusal if there is no such header, or if the URL has a query.
        """
        self.check_host(request)
        if "?" in request.target:
            raise denied(401, "this takes an Authorization header, and no query")
        try:
            return self._reader.read(request, Side.AGENT)
        except SignatureError as error:
            raise denied(401, str(error)) from None

    def check_host(self, request: Request) -> None:
        """Checks that the Host header of `request` names this reflector. Raises Refusal (403) if it does not."""
        host = (request.headers.get("host") or "").lower()
        if self._config.public_host and host not in self._config.public_host:
            raise denied(403, "the Host header names another host than this one")

    def _key(self, claim: SignedClaim) -> PublicKey:
        """Verifies a signature, and returns the key that has made it.

        Raises Refusal if the account has no such key, or if the signature is wrong. If there is no such key, a decoy
        key verifies the signature instead. So both refusals take the same time.
        """
        from medusa.keys import decoy

        key = self._accounts.find(*claim.key_id)
        judge = key if key is not None and key.takes(claim.algorithm) else decoy(claim.algorithm)
        good = judge.verify(claim.algorithm, claim.signature, claim.text)
        if key is None:
            raise unknown("no such login, or it has no key " + claim.key_id.fingerprint)
        if not good or judge is not key:
            raise unknown("wrong signature for key " + claim.key_id.fingerprint)
        return key


def _digest(key: PublicKey, name: SessionName, side: Side, text: bytes) -> bytes:
    """Returns a digest of the signed text, the session, its side, and the key that has signed.

    The digest does not depend on the signature, because some algorithms can make several signatures of one text. The
    digest does not depend on the keyId, because a signature in a header does not cover the keyId. Also, one key can
    have several keyIds: it has two fingerprints, and may belong to several accounts.
    """
    return hashlib.sha256(b"\n".join((key.sha256.encode(), str(name).encode(), side.value.encode(), text))).digest()
