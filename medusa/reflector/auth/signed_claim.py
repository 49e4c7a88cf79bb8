"""Reads what a request claims to be signed by: in its Authorization header, or in a pre-signed URL.

The times are checked here. The signature itself is not verified yet; see authenticator.py.
"""

from __future__ import annotations

import email.utils
import functools
import re
from collections.abc import Callable

from medusa.protocol.http.head import Request
from medusa.protocol.http.signature import (
    KeyId,
    SignatureError,
    header_text,
    parse_authorization,
    parse_presigned,
    presigned_text,
)
from medusa.protocol.record import record
from medusa.reflector.auth.denials import STRONG, denied
from medusa.reflector.config import ReflectorConfig
from medusa.session import Side

DATE_SKEW = 300
"""Seconds by which a Date header may differ from the clock of this host. Manta's HTTP service allows as many."""

EXPIRES_SKEW = 60
"""Seconds by which the clock of the host that has signed a URL may differ from the clock of this host."""

_PARAMETERS = {"algorithm", "expires", "keyId", "method", "nonce", "role", "role-tag"}
_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z")
_EXPIRES = re.compile(r"[1-9][0-9]{0,11}\Z")


@record
class SignedClaim:
    """A signature that is not verified yet. The request says that the key `key_id` has signed `text`.

    `until`: the time at which the signature expires, in seconds since the epoch.
    """

    key_id: KeyId
    algorithm: str
    text: bytes
    signature: bytes
    until: float


class ClaimReader:
    """Reads the signatures of requests. `clock` returns seconds since the epoch."""

    def __init__(self, config: ReflectorConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock

    def read(self, request: Request, side: Side) -> SignedClaim:
        """Returns the signature of `request`, which is not verified yet.

        `side`: the side of the session to which the peer wants to attach. Old clients may sign less than agents.

        Raises:
            SignatureError: there is no signature, or it does not cover enough of the request.
            Refusal: the signature is too old, or is valid for too long.
        """
        from medusa.keys import ALGORITHMS  # takes long to import; see authenticator.py

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

    def _header_claim(self, request: Request, authorization: str, side: Side) -> SignedClaim:
        credentials = parse_authorization(authorization)
        # A signature of the Date alone is valid for any request. It is accepted for a client only: otherwise another
        # peer could use it to join the client's session as an agent. (Old agents use a signed URL.)
        old = self._config.legacy_signatures and side is Side.CLIENT
        needed = ("date",) if old else STRONG
        if not set(needed) <= set(credentials.headers):
            raise SignatureError("the signature must cover " + " ".join(needed))
        text = header_text(credentials.headers, request.method, request.target, request.headers)  # all are in `request`
        given = [name for name, _ in request.headers.items]
        if any(given.count(name) > 1 for name in credentials.headers):
            raise SignatureError("a signed header is given twice")
        until = self._check_date(request.headers.get("date") or "") + DATE_SKEW
        return SignedClaim(credentials.key_id, credentials.algorithm, text, credentials.signature, until)

    def _check_date(self, date: str) -> float:
        when = _timestamp(date)
        if when is None:
            raise SignatureError("the Date header is not of the form Sun, 06 Nov 1994 08:49:37 GMT")
        off = when - self._clock()
        if abs(off) > DATE_SKEW:
            raise denied(403, "the Date header is %+d s off: set the clock" % off)
        return when

    def _url_claim(self, request: Request) -> SignedClaim:
        path, parameters, signature = parse_presigned(request.target)
        if not parameters.keys() <= _PARAMETERS:
            raise SignatureError("the URL has parameters that are not understood")
        if request.method not in parameters.get("method", request.method).split(","):
            raise SignatureError("the URL is signed for another method")
        until = self._check_expires(parameters["expires"])
        text = presigned_text(request.method, request.headers.get("host") or "", path, parameters)
        return SignedClaim(KeyId.parse(parameters["keyId"]), parameters["algorithm"].lower(), text, signature, until)

    def _check_expires(self, expires: str) -> float:
        if not _EXPIRES.match(expires):
            raise SignatureError("expires is not a time in seconds")
        left = int(expires) - self._clock()
        if left < -EXPIRES_SKEW:
            raise denied(403, "the URL expired %d s ago" % -left)
        if left > self._config.max_url_lifetime + EXPIRES_SKEW:
            raise denied(403, "the URL is good for longer than the %d s allowed here" % self._config.max_url_lifetime)
        return int(expires) + EXPIRES_SKEW


@functools.lru_cache(maxsize=64)
def _timestamp(date: str) -> float | None:
    """Returns the time that a Date header names, in seconds since the epoch. None if the header has another form.

    Clients that sign at the same time send the same text.
    """
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() if _DATE.match(date) else None
    except ValueError:
        return None
