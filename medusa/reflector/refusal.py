"""A refusal: what the reflector answers instead of doing what a peer asked for."""

from __future__ import annotations

from collections.abc import Iterable

from medusa.protocol.errors import HandshakeError

NOTHING_HERE = "there is nothing at this path"


class Refusal(Exception):
    """Raised before anything was answered; a front turns it into an answer and a line in the log.

    Attributes:
        status: HTTP's; over raw TCP it stands in the refusal's line.
        words: for the peer.
        log_words: for the log, where more may be said than to the peer.
        retry_after: seconds that the peer is told to wait before it tries again; 0 tells it nothing.
        headers: to add to an HTTP answer.
        secret: an unauthenticated peer must not learn anything from how long the decision took, so the answer is
            delayed (Admission.delay).
        limited: by a limit that a flood may meet any number of times, so its lines in the log are limited too.
    """

    def __init__(
        self,
        status: int,
        words: str,
        log_words: str = "",
        *,
        headers: Iterable[tuple[str, str]] = (),
        retry_after: int = 0,
        secret: bool = False,
        limited: bool = False,
    ) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.log_words = log_words or words
        self.retry_after = retry_after
        self.headers = [*headers, *([("Retry-After", str(retry_after))] if retry_after else [])]
        self.secret = secret
        self.limited = limited

    @classmethod
    def of(cls, error: HandshakeError | Refusal) -> Refusal:
        """`error` itself, or the refusal of a request that is not well formed."""
        return error if isinstance(error, Refusal) else cls(error.http_status, str(error), headers=error.headers)


def directory_away() -> Refusal:
    """For a request that needs the directory, while the directory does not answer."""
    return Refusal(503, "sessions cannot be registered or found at the moment", retry_after=5)
