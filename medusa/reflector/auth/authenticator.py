"""Checks that a request is signed by the account that its path names, or by one of the account's users.

A login is the name of an account. A refusal must not tell a stranger which logins, keys and sessions exist. So a wrong
signature, an unknown login, an unknown key, and a session that does not exist all get the same answer (`UNKNOWN`).
They also get it after the same time (see Admission.hold_back).
"""

from __future__ import annotations

import email.utils
import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from medusa.keys import ALGORITHMS, PublicKey, decoy
from medusa.protocol.http.head import Request
from medusa.protocol.http.signature import (
    REQUEST_TARGET,
    KeyId,
    SignatureError,
    header_text,
    parse_authorization,
    parse_presigned,
    presigned_text,
)
from medusa.reflector.auth.accounts import Accounts
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.session import Side

DATE_SKEW = 300
"""Seconds by which a Date header may differ from the clock of this host. Manta's HTTP service allows as many."""

EXPIRES_SKEW = 60
"""Seconds by which the clock of the host that has signed a URL may differ from the clock of this host."""

STRONG = (REQUEST_TARGET, "host", "date")
"""The parts of a request that the signature in a header must cover, so that it is valid for this request only."""

UNKNOWN = "there is no such session, or the signature does not open it: check login, key, host and path"

_PARAMETERS = {"algorithm", "expires", "keyId", "method", "nonce", "role", "role-tag"}
_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z")
_EXPIRES = re.compile(r"[1-9][0-9]{0,11}\Z")
_CHALLENGE = ("WWW-Authenticate", 'Signature realm="medusa",headers="%s"' % " ".join(STRONG))


def denied(status: int, words: str, log_words: str = "") -> Refusal:
    """Returns the refusal of a request that is not properly signed, or that its signer may not make.

    Args:
        status: 401 if the request is not properly signed, 403 if its signer may not make it, 404 to hide the reason
            from the peer.
        words: the text for the peer.
        log_words: the text for the log, if it says more than `words`.
    """
    headers = [_CHALLENGE] if status == 401 else []
    return Refusal(status, words, log_words, headers=headers, secret=True)


def unknown(log_words: str) -> Refusal:
    """Returns a refusal (404) with the same answer for several reasons. So the peer does not learn the reason.

    `log_words`: the reason, for the log.
    """
    return denied(404, UNKNOWN, log_words)


def used_before() -> Refusal:
    """Returns the refusal (403) of a signature that was used before. Each signature can be used only once."""
    return denied(403, "this signature was used before; sign anew")


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class _Claim:
    """A signature that is not verified yet. The request says that the key `key_id` has signed `text`.

    `until`: the time at which the signature expires, in seconds since the epoch.
    """

    key_id: KeyId
    algorithm: str
    text: bytes
    signature: bytes
    until: float


class Authenticator:
    """Checks signed requests with the public keys of `accounts`. `clock` returns seconds since the epoch."""

    def __init__(self, config: ReflectorConfig, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._accounts = accounts
        self._clock = clock
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
            claim = self._claim(request, side)
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

    def _of_owner(self, request: Request, login: str) -> tuple[_Claim, PublicKey]:
        claim = self._header_only(request)
        if claim.key_id.login != login:
            raise unknown("signed by another login: " + claim.key_id.login)
        return claim, self._key(claim)

    def _unused(self, purpose: bytes, key: PublicKey, claim: _Claim) -> Grant:
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

    def _header_only(self, request: Request) -> _Claim:
        """Returns the signature in the Authorization header, which is not verified yet.

        Raises Refusal if there is no such header, or if the URL has a query.
        """
        self.check_host(request)
        if "?" in request.target:
            raise denied(401, "this takes an Authorization header, and no query")
        try:
            return self._claim(request, Side.AGENT)
        except SignatureError as error:
            raise denied(401, str(error)) from None

    def check_host(self, request: Request) -> None:
        """Checks that the Host header of `request` names this reflector. Raises Refusal (403) if it does not."""
        host = (request.headers.get("host") or "").lower()
        if self._config.public_host and host not in self._config.public_host:
            raise denied(403, "the Host header names another host than this one")

    def _key(self, claim: _Claim) -> PublicKey:
        """Verifies a signature, and returns the key that has made it.

        Raises Refusal if the account has no such key, or if the signature is wrong. If there is no such key, a decoy
        key verifies the signature instead. So both refusals take the same time.
        """
        key = self._accounts.find(*claim.key_id)
        judge = key if key is not None and key.takes(claim.algorithm) else decoy(claim.algorithm)
        good = judge.verify(claim.algorithm, claim.signature, claim.text)
        if key is None:
            raise unknown("no such login, or it has no key " + claim.key_id.fingerprint)
        if not good or judge is not key:
            raise unknown("wrong signature for key " + claim.key_id.fingerprint)
        return key

    def _claim(self, request: Request, side: Side) -> _Claim:
        authorization = request.headers.get("authorization")
        signed_url = "?" in request.target
        if authorization is not None and signed_url:
            raise SignatureError("an Authorization header and a query are one too many")
        if authorization is not None:
            claim = self._header_claim(request, authorization, side)
        elif signed_url:
            claim = self._url_claim(request)
        else:
            raise SignatureError("an HTTP signature or a pre-signed URL is needed")
        algorithm = ALGORITHMS.get(claim.algorithm)
        if algorithm is None or (algorithm.weak and not self._config.legacy_signatures):
            raise SignatureError("this signature algorithm is not accepted")
        return claim

    def _header_claim(self, request: Request, authorization: str, side: Side) -> _Claim:
        credentials = parse_authorization(authorization)
        # A signature of the Date alone is valid for any request. It is accepted for a client only: otherwise another
        # peer could use it to join the client's session as an agent. (Old agents use a signed URL.)
        old = self._config.legacy_signatures and side is Side.CLIENT
        needed = ("date",) if old else STRONG
        if not set(needed) <= set(credentials.headers):
            raise SignatureError("the signature must cover " + " ".join(needed))
        given = Counter(name for name, _ in request.headers.items)
        if any(given[name] > 1 for name in credentials.headers):
            raise SignatureError("a signed header is given twice")
        text = header_text(credentials.headers, request.method, request.target, request.headers)
        until = self._check_date(request.headers.get("date") or "") + DATE_SKEW
        return _Claim(credentials.key_id, credentials.algorithm, text, credentials.signature, until)

    def _check_date(self, date: str) -> float:
        try:
            when = email.utils.parsedate_to_datetime(date).timestamp() if _DATE.match(date) else None
        except ValueError:
            when = None
        if when is None:
            raise SignatureError("the Date header is not of the form Sun, 06 Nov 1994 08:49:37 GMT")
        off = when - self._clock()
        if abs(off) > DATE_SKEW:
            raise denied(403, "the Date header is %+d s off: set the clock" % off)
        return when

    def _url_claim(self, request: Request) -> _Claim:
        path, parameters, signature = parse_presigned(request.target)
        if not parameters.keys() <= _PARAMETERS:
            raise SignatureError("the URL has parameters that are not understood")
        if request.method not in parameters.get("method", request.method).split(","):
            raise SignatureError("the URL is signed for another method")
        until = self._check_expires(parameters["expires"])
        text = presigned_text(request.method, request.headers.get("host") or "", path, parameters)
        return _Claim(KeyId.parse(parameters["keyId"]), parameters["algorithm"].lower(), text, signature, until)

    def _check_expires(self, expires: str) -> float:
        if not _EXPIRES.match(expires):
            raise SignatureError("expires is not a time in seconds")
        left = int(expires) - self._clock()
        if left < -EXPIRES_SKEW:
            raise denied(403, "the URL expired %d s ago" % -left)
        if left > self._config.max_url_lifetime + EXPIRES_SKEW:
            raise denied(403, "the URL is good for longer than the %d s allowed here" % self._config.max_url_lifetime)
        return int(expires) + EXPIRES_SKEW


def _digest(key: PublicKey, name: SessionName, side: Side, text: bytes) -> bytes:
    """Returns a digest of the signed text, the session, its side, and the key that has signed.

    The digest does not depend on the signature, because some algorithms can make several signatures of one text. The
    digest does not depend on the keyId, because a signature in a header does not cover the keyId. Also, one key can
    have several keyIds: it has two fingerprints, and may belong to several accounts.
    """
    return hashlib.sha256(b"\n".join((key.sha256.encode(), str(name).encode(), side.value.encode(), text))).digest()
