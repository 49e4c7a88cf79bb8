"""HTTP Signature headers and pre-signed URLs, checked by the rules of npm http-signature and smartdc-auth.

It shares no code with our own signing, which it has to judge, and uses `cryptography` alone. Like Manta, it knows a key
only by its MD5 fingerprint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from datetime import timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from tests.manta.http import Refusal, Request

HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
KEY_ID = re.compile(r"/([^/.][^/]*)/keys/([0-9a-f:]+)")
MAX_SKEW = 300.0
"""Seconds that a Date header may be off."""

SAFE = "-_.~"
"""Unreserved characters of RFC 3986, besides letters and digits."""


class Keys:
    """The accounts' public keys: files like authorized_keys, named `<login>`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def check(self, key_id: str, algorithm: str, signature: str, text: str) -> str:
        """The login of the account whose key signed the text. Raises Refusal if the signature is not good."""
        found = KEY_ID.fullmatch(key_id)
        if found is None:
            raise Refusal(403, "InvalidKeyId", "the keyId is no /<login>/keys/<md5 fingerprint>")
        login, fingerprint = found.groups()
        key = self._find(login, fingerprint)
        try:
            raw = base64.b64decode(signature, validate=True)
        except (ValueError, binascii.Error):
            raise Refusal(403, "InvalidSignature", "the signature is not base64") from None
        if not _verified(key, algorithm.lower(), raw, text.encode("latin-1")):
            raise Refusal(403, "InvalidSignature", "the signature we calculated does not match the one you sent")
        return login

    def _find(self, login: str, fingerprint: str) -> object:
        path = self._directory / login
        if not path.is_file():
            raise Refusal(403, "AccountDoesNotExist", f"{login} does not exist")
        for line in path.read_bytes().splitlines():
            blob = base64.b64decode(line.split()[1])
            if fingerprint.replace(":", "") == hashlib.md5(blob, usedforsecurity=False).hexdigest():
                return load_ssh_public_key(line)
        raise Refusal(403, "KeyDoesNotExist", f"/{login}/keys/{fingerprint} does not exist")


def _verified(key: object, algorithm: str, signature: bytes, text: bytes) -> bool:
    kind, _, name = algorithm.partition("-")
    try:
        if kind == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, padding.PKCS1v15(), HASHES[name])
        elif kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, text, ec.ECDSA(HASHES[name]))
        elif algorithm == "ed25519-sha512" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, text)
        else:
            return False
    except (InvalidSignature, KeyError):
        return False
    return True


def identify(request: Request, keys: Keys) -> str | None:
    """The account that signed a request; None if it has no signature. Raises Refusal for a bad signature."""
    if request.header("authorization"):
        return _by_header(request, keys)
    if re.search(r"(^|&)signature=", request.query):
        return _by_query(request, keys)
    return None


def _by_header(request: Request, keys: Keys) -> str:
    scheme, _, rest = request.header("authorization").partition(" ")
    if scheme != "Signature":
        raise Refusal(403, "AuthSchemeNotAllowed", f"{scheme} is not a supported authentication scheme")
    fields = re.findall(r'([A-Za-z]+)="([^"]*)"', rest)
    if ",".join(f'{name}="{value}"' for name, value in fields) != rest:
        raise Refusal(400, "InvalidHeader", "bad Authorization header")
    given = dict(fields)
    for name in ("keyId", "algorithm", "signature"):
        if not given.get(name):
            raise Refusal(400, "InvalidHeader", f"{name} was not specified")
    _check_date(request)
    names = given.get("headers", "date").lower().split(" ")
    text = "\n".join(f"{name}: {_signed_value(request, name)}" for name in names)
    if not {"date", "x-date"} & set(names):
        raise Refusal(403, "InvalidSignature", "the signature leaves the Date out")
    return keys.check(given["keyId"], given["algorithm"], given["signature"], text)


def _signed_value(request: Request, name: str) -> str:
    if name == "(request-target)":
        return f"{request.method.lower()} {request.target}"
    if name not in request.headers:
        raise Refusal(400, "MissingHeader", f"{name} was not in the request")
    return request.headers[name]


def _check_date(request: Request) -> None:
    try:
        date = parsedate_to_datetime(request.header("x-date") or request.header("date"))
    except (TypeError, ValueError):
        raise Refusal(400, "InvalidHeader", "no Date, or a bad one") from None
    skew = abs(time.time() - date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp())
    if skew > MAX_SKEW:
        raise Refusal(403, "RequestExpired", f"clock skew of {skew:.0f} s was greater than {MAX_SKEW:g} s")


def _by_query(request: Request, keys: Keys) -> str:
    pairs = [part.partition("=")[::2] for part in request.query.split("&")]
    given = {unquote(name): unquote(value) for name, value in pairs}
    if len(given) != len(pairs):
        raise _bad_query("a parameter came twice")
    for name in ("algorithm", "expires", "keyId"):
        if name not in given:
            raise _bad_query(f"{name} is missing")
    signature = given.pop("signature")
    if not given["expires"].isdecimal() or int(given["expires"]) < time.time():
        raise _bad_query("the request is expired")
    methods = given.get("method", request.method)
    if request.method not in methods.split(","):
        raise _bad_query(f"{request.method} was not signed for")
    query = "&".join(
        f"{quote(name, safe=SAFE)}={quote(given[name], safe=SAFE)}" for name in sorted(given, key=str.lower)
    )
    text = "\n".join([methods, request.header("host"), request.path, query])
    return keys.check(given["keyId"], given["algorithm"], signature, text)


def _bad_query(why: str) -> Refusal:
    return Refusal(403, "InvalidQueryStringAuthentication", why)
