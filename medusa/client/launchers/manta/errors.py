"""The error that every request to a Manta raises, made from an answer or from what requests and urllib3 raise."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import requests
import urllib3

from medusa.protocol.printable import printable

_TEMPORARY = frozenset((502, 503))
_CODES = {400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError", 404: "NotFoundError"}
"""Manta's codes for answers without a body, such as those to HEAD."""


class MantaError(Exception):
    """A request failed. The text is printable and holds no signature.

    Attributes:
        status: the HTTP status; None if no answer came.
        code: Manta's name for the error, always with the ending that its own client gives it: `ResourceNotFoundError`.
            Empty if no answer came.
    """

    def __init__(self, text: str, status: int | None = None, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Failed(NamedTuple):
    """One try that failed.

    A value, not an exception: an exception that is raised keeps the frames that it came through, and so the connection.

    Attributes:
        temporary: the next try may succeed.
        unsent: the request did not reach the Manta, so another try cannot do anything twice.
    """

    error: MantaError
    temporary: bool = False
    unsent: bool = False


def no_answer(where: str, error: Exception) -> Failed:
    """The failure for an exception of requests, urllib3 or the system.

    Args:
        where: the request and the Manta's host, for the text.
    """
    causes = list(_causes(error))
    unsent = any(isinstance(e, (urllib3.exceptions.NewConnectionError, requests.ConnectTimeout)) for e in causes)
    refused = next((e for e in causes if isinstance(e, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        words = f"certificate not accepted: {printable(refused.verify_message)}; -i or MANTA_TLS_INSECURE trusts any"
        return Failed(MantaError(f"{where}: {words}"))
    temporary = isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError))
    return Failed(MantaError(f"{where}: {_words(causes[-1])}"), temporary, unsent)


def refusal(what: str, response: requests.Response, content: bytes) -> Failed:
    """The failure for an answer that is not 2xx.

    Args:
        what: the request, for the text.
        content: the body.
    """
    status = response.status_code
    code, message = _parse(content)
    if response.is_redirect:
        message = "it points elsewhere, and a signed request is not sent there"
    code = code + "Error" * (not code.endswith("Error")) if code else _CODES.get(status, "")
    text = ": ".join(part for part in (f"{what}: {status} {code}".rstrip(), message) if part)
    return Failed(MantaError(text, status, code), status in _TEMPORARY or code == "ConcurrentRequestError")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(cause: BaseException) -> str:
    """A first cause in words. Texts of requests and urllib3 are not used: they hold URLs, passwords, header fields."""
    if isinstance(cause, TimeoutError):
        return "timed out"
    if isinstance(cause, (OSError, http.client.HTTPException)) and not isinstance(cause, requests.RequestException):
        return printable(getattr(cause, "strerror", None) or str(cause))
    return f"no answer ({type(cause).__name__})"


def _parse(content: bytes) -> tuple[str, str]:
    """Code and message in an error's body, printable; empty if it is not Manta's JSON."""
    try:
        found = json.loads(content)
        return printable(str(found.get("code") or ""), 64), printable(str(found.get("message") or ""))
    except (ValueError, RecursionError, AttributeError):
        return "", ""
