"""Builds and parses signed requests, in the format of Manta's programs. Handles no keys, reads no clock, does no I/O.

There are two forms. An `Authorization: Signature` header (draft-cavage-http-signatures) signs header fields. A
pre-signed URL has its signature in the query, for programs that have no key. This signature covers the method, the
host, the path and the rest of the query. Both forms name the key by its owner and its fingerprint.

A request that two programs could understand in two ways is refused. So there is only one legal spelling of a pre-signed
query.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from medusa.protocol.attach_path import LOGIN
from medusa.protocol.errors import ProtocolError
from medusa.protocol.http.head import Request

REQUEST_TARGET = "(request-target)"
SCHEME = "Signature"

_KEY_ID = re.compile(
    rf"/(?P<login>{LOGIN})(?:/(?P<user>{LOGIN}))?/keys/"
    r"(?P<fingerprint>(?:[0-9a-f]{2}:){15}[0-9a-f]{2}|SHA256:[A-Za-z0-9+/]{43})\Z"
)
_PARAMETER = re.compile(r'\s*([a-z][A-Za-z]{0,31})="([^"\\]*)"\s*\Z')
_HEADER_NAMES = re.compile(r"[!-~]+(?: [!-~]+)*\Z")
_ALGORITHM = re.compile(r"[A-Za-z0-9\-]{1,32}\Z")
_UNRESERVED = "-_.~"
"""The characters that, like letters and digits, are not percent-encoded (RFC 3986 section 2.3)."""


class SignatureError(ProtocolError):
    """Raised if a request is not correctly signed. The text names the broken rule, and never quotes the request."""


class HeaderFields(Protocol):
    """The header fields of a request, as the functions of this module use them."""

    def get(self, name: str) -> str | None:
        """Returns the value of the field called `name` (lower case), or None if there is no such field."""


class KeyId(NamedTuple):
    """The name of a key: the owner and the fingerprint.

    Attributes:
        login: the account that owns the key.
        user: the subuser (a user of that account) that owns the key; None if the account itself owns the key.
        fingerprint: an MD5 in hexadecimal with colons, or `SHA256:` and base64, in the format of ssh-keygen.
    """

    login: str
    user: str | None
    fingerprint: str

    def __str__(self) -> str:
        owner = self.login if self.user is None else f"{self.login}/{self.user}"
        return f"/{owner}/keys/{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> KeyId:
        """Parses a key's name in the form /LOGIN/keys/FINGERPRINT or /LOGIN/USER/keys/FINGERPRINT.

        Raises:
            SignatureError: `text` has neither form.
        """
        match = _KEY_ID.match(text)
        if match is None:
            raise SignatureError("keyId is not /LOGIN/keys/FINGERPRINT")
        return cls(match["login"], match["user"], match["fingerprint"])


class Credentials(NamedTuple):
    """The content of an Authorization header.

    Attributes:
        algorithm: the name of the signature algorithm, in lower case.
        headers: the names of the signed header fields, in the order in which they are signed.
    """

    key_id: KeyId
    algorithm: str
    headers: tuple[str, ...]
    signature: bytes


def parse_authorization(value: str) -> Credentials:
    """Parses the value of an Authorization header. Raises SignatureError if the value is malformed."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != SCHEME.lower():
        raise SignatureError("the Authorization scheme is not Signature")
    parameters: dict[str, str] = {}
    for part in rest.split(","):
        match = _PARAMETER.match(part)
        if match is None:
            raise SignatureError('an Authorization parameter is not of the form name="value"')
        if match[1] in parameters:
            raise SignatureError("an Authorization parameter is given twice")
        parameters[match[1]] = match[2]
    if not {"keyId", "algorithm", "signature"} <= parameters.keys() <= {"keyId", "algorithm", "signature", "headers"}:
        raise SignatureError("the Authorization parameters are not keyId, algorithm, headers and signature")
    names = parameters.get("headers", "date")
    if not _HEADER_NAMES.match(names):
        raise SignatureError("the list of signed headers is not one")
    headers = tuple(names.lower().split(" "))
    if len(set(headers)) != len(headers):
        raise SignatureError("a header is signed twice")
    return Credentials(
        KeyId.parse(parameters["keyId"]),
        _algorithm(parameters["algorithm"]),
        headers,
        _signature(parameters["signature"]),
    )


def build_authorization(credentials: Credentials) -> str:
    """Returns the value of the Authorization header for `credentials`."""
    signature = base64.b64encode(credentials.signature).decode("ascii")
    return (
        f'{SCHEME} keyId="{credentials.key_id}",algorithm="{credentials.algorithm}",'
        f'headers="{" ".join(credentials.headers)}",signature="{signature}"'
    )


def header_text(names: Iterable[str], method: str, target: str, headers: HeaderFields) -> bytes:
    """Returns the text to sign for an Authorization header: one line for each field in `names`.

    Args:
        names: the names of the signed fields, in lower case. REQUEST_TARGET stands for the method and the target.

    Raises:
        SignatureError: the request lacks one of the fields.
    """
    lines = []
    for name in names:
        value = f"{method.lower()} {target}" if name == REQUEST_TARGET else headers.get(name)
        if value is None:
            raise SignatureError("a signed header is not in the request")
        lines.append(f"{name}: {value}")
    return "\n".join(lines).encode("latin-1")


def presigned_text(method: str, host: str, path: str, parameters: Mapping[str, str]) -> bytes:
    """Returns the text to sign for a pre-signed URL.

    Args:
        method: the method of the request. It is not used if `parameters` holds a `method`.
        host: the host of the URL, with the port if the URL has one.
        parameters: the decoded parameters of the query, without `signature`.

    Raises:
        SignatureError: the method holds an illegal character.
    """
    try:
        return "\n".join((parameters.get("method", method), host, path, _query(parameters))).encode("latin-1")
    except UnicodeEncodeError:
        raise SignatureError("the URL's method is not one") from None


def presigned_target(path: str, parameters: Mapping[str, str], signature: bytes) -> str:
    """Returns the path and query of a pre-signed URL.

    Args:
        parameters: the parameters of the query, not encoded and without `signature`.
        signature: the bytes of the signature.
    """
    value = base64.b64encode(signature).decode("ascii")
    return f"{path}?{_query(parameters)}&signature={_quote(value)}"


def parse_presigned(target: str) -> tuple[str, dict[str, str], bytes]:
    """Splits the path and query of a pre-signed URL into its parts.

    Returns:
        (path, decoded parameters without `signature`, signature)

    Raises:
        SignatureError: the URL is not correctly signed, or its query is not in the one legal spelling.
    """
    path, _, query = target.partition("?")
    parameters: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in parameters:
            raise SignatureError("a parameter of the URL is given twice")
        parameters[urllib.parse.unquote(name)] = urllib.parse.unquote(value)
    encoded = parameters.pop("signature", "")
    if not {"algorithm", "expires", "keyId"} <= parameters.keys():
        raise SignatureError("the URL is not signed: it lacks algorithm, expires, keyId or signature")
    signature = _signature(encoded)
    if presigned_target(path, parameters, signature) != target:
        raise SignatureError("the URL's query is not spelled as its signer spells it")
    return path, parameters, signature


def _query(parameters: Mapping[str, str]) -> str:
    return "&".join(f"{_quote(name)}={_quote(value)}" for name, value in sorted(parameters.items()))


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe=_UNRESERVED)


def _algorithm(text: str) -> str:
    if not _ALGORITHM.match(text):
        raise SignatureError("the algorithm's name is not one")
    return text.lower()


def _signature(text: str) -> bytes:
    try:
        signature = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        signature = b""
    if not signature:
        raise SignatureError("the signature is not base64")
    return signature


def key_id_of(request: Request) -> KeyId:
    """Returns the name of the key that `request` says it is signed with. Does not check the signature.

    Raises:
        SignatureError: the request is not signed, or not in one of the two forms.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return parse_authorization(authorization).key_id
    return KeyId.parse(parse_presigned(request.target)[1]["keyId"])
