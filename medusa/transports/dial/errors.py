"""Defines the errors of a link that could not be opened, and the HTTP statuses after which a later try may succeed."""

from __future__ import annotations

from typing import Optional

from medusa.protocol.http.head import Response
from medusa.protocol.http.response import moved_to, retry_after

RETRYABLE = frozenset((404, 408, 425, 429, *range(500, 600)))
"""The HTTP statuses after which a later try may succeed.

404 is among them because the session may soon be created. All statuses from 500 on are among them, because proxies use
statuses of their own, such as 521.
"""


class ConnectRefused(Exception):
    """Raised if a link could not be opened. The text says why.

    The text never holds the URL's query, which may contain a signature.

    Attributes:
        status: the HTTP status with which the peer refused. None if the peer sent no status, or no valid answer.
        retryable: True if a later try may succeed.
        retry_after: how many seconds the peer asks this end to wait before the next try; 0 if it does not say.
        moved_to: the URL that a redirect leads to, without login, query and fragment; None if the answer is no
            redirect.
    """

    def __init__(
        self,
        reason: str,
        status: Optional[int] = None,
        retryable: bool = True,
        retry_after: float = 0.0,
        moved_to: Optional[str] = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.moved_to = moved_to


class Untrusted(ConnectRefused):
    """Raised if the link could not be opened because the peer's certificate is not trusted."""


class NoTls(ConnectRefused):
    """Raised if the link could not be opened because the peer does not speak TLS, although the URL asks for it."""


def refusal(words: str, response: Response, url: str) -> ConnectRefused:
    """Returns the error to raise for an HTTP response that refuses the request. Its text begins with `words`.

    Args:
        url: the URL of the request.
    """
    status, moved = response.status, moved_to(response.status, response.headers.get("location"), url)
    if moved is not None:
        words += "; it leads to %s, and redirects are not followed: give that address if you trust it" % moved
    return ConnectRefused(words, status, status in RETRYABLE, retry_after(response.headers), moved)
