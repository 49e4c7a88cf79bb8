"""The exception that a failed request to a Manta raises.

It is made from the Manta's answer, or from an exception of the packages requests and urllib3.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import requests
import urllib3

from medusa.protocol.http.response import moved_to
from medusa.protocol.printable import printable
from medusa.transports.tls.trust import distrust

_TEMPORARY = frozenset((502, 503))
_CODES = {400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError", 404: "NotFoundError"}
"""HTTP status -> Manta's error code, for answers that have no body with the code, such as answers to HEAD."""


class MantaError(Exception):
    """A request to a Manta failed. The text is printable and contains no signature.

    Attributes:
        status: the HTTP status; None if there was no answer.
        code: Manta's name for the error, such as `ResourceNotFoundError`. It always ends in `Error`, as in Manta's own
            client. Empty if there was no answer, or if the code is unknown.
    """

    def __init__(self, text: str, status: int | None = None, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Failed(NamedTuple):
    """Describes a failed try to send a request.

    It is returned, not raised: a raised exception would keep its stack frames alive, and with them the connection.

    Attributes:
        error: the exception to raise if the request is not tried again.
        temporary: True if the next try may succeed.
        unsent: True if the request did not reach the Manta, so that it is safe to send the request again.
    """

    error: MantaError
    temporary: bool = False
    unsent: bool = False


def no_answer(where: str, error: Exception) -> Failed:
    """Returns the description of a failed try that got no answer.

    Args:
        where: the request and the Manta's host, for the error's text.
        error: the exception of requests, urllib3 or the system.
    """
    causes = list(_causes(error))
    unsent = any(isinstance(e, (urllib3.exceptions.NewConnectionError, requests.ConnectTimeout)) for e in causes)
    refused = next((e for e in causes if isinstance(e, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        words = f"certificate not accepted: {printable(distrust(refused), 1000)}; -i or MANTA_TLS_INSECURE trusts any"
        return Failed(MantaError(f"{where}: {words}"))
    temporary = isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError))
    return Failed(MantaError(f"{where}: {_words(causes[-1])}"), temporary, unsent)


def refusal(what: str, response: requests.Response, content: bytes) -> Failed:
    """Returns the description of a failed try whose answer has a status other than 2xx.

    Args:
        what: the request, for the error's text.
        content: the body of the answer.
    """
    status = response.status_code
    code, message = _parse(content)
    if response.is_redirect:
        place = moved_to(status, response.headers.get("location"), response.url) or "no URL"
        message = f"it leads to {place}, and a signed request is not sent there"
    code = code + "Error" * (not code.endswith("Error")) if code else _CODES.get(status, "")
    text = ": ".join(part for part in (f"{what}: {status} {code}".rstrip(), message) if part)
    return Failed(MantaError(text, status, code), status in _TEMPORARY or code == "ConcurrentRequestError")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the exception, then its cause, then the cause of the cause, and so on to the original exception."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(cause: BaseException) -> str:
    """Returns printable words for `cause`, the original exception of a failure.

    The texts of requests and urllib3 are not used, because they contain URLs, passwords and header fields.
    """
    if isinstance(cause, TimeoutError):
        return "timed out"
    if isinstance(cause, (OSError, http.client.HTTPException)) and not isinstance(cause, requests.RequestException):
        return printable(getattr(cause, "strerror", None) or str(cause))
    return f"no answer ({type(cause).__name__})"


def _parse(content: bytes) -> tuple[str, str]:
    """Returns the error code and the message from the body of an answer, printable.

    Both are empty if the body is not Manta's JSON.
    """
    try:
        found = json.loads(content)
        return printable(str(found.get("code") or ""), 64), printable(str(found.get("message") or ""))
    except (ValueError, RecursionError, AttributeError):
        return "", ""
