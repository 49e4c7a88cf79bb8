"""The refusal: the exception by which the reflector rejects what a peer asked for."""

from __future__ import annotations

from collections.abc import Iterable

from medusa.directory import BrokenEntry
from medusa.protocol.errors import HandshakeError

NOTHING_HERE = "there is nothing at this path"


class Refusal(Exception):
    """Raised if the reflector refuses a request. Raise it before any part of an answer is sent.

    The server that accepted the peer (HTTP or raw TCP) turns this exception into an answer and a line in the log.

    Attributes:
        status: the HTTP status. Over raw TCP, the answer's line contains it as well.
        words: the text for the peer.
        log_words: the text for the log, which may say more than the peer is told.
        retry_after: seconds after which the peer may try again; 0 to tell it no time.
        headers: headers to add to an HTTP answer.
        secret: if True, the answer is delayed (see Admission.hold_back). So an unauthenticated peer cannot learn the
            reason from the time that passed.
        uncertain: if True, the reflector may have done what the request asked for, in spite of the refusal.
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
    ) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.log_words = log_words or words
        self.retry_after = retry_after
        self.headers = [*headers, *([("Retry-After", str(retry_after))] if retry_after else [])]
        self.secret = secret
        self.uncertain = False

    @classmethod
    def of(cls, error: HandshakeError | Refusal) -> Refusal:
        """Returns `error` as a Refusal. A HandshakeError becomes a Refusal with the same status, text and headers.

        Takes the traceback from a Refusal. Otherwise a caller that keeps the result in a variable would make a circle
        of the traceback and its frames, and only the garbage collector would free the connection's objects.
        """
        if isinstance(error, Refusal):
            return error.with_traceback(None)
        return cls(error.http_status, str(error), headers=error.headers)


class Unreachable(Refusal):
    """The refusal (503) of a peer, because the reflector in which its session lives cannot be connected to."""


def shutting_down() -> Refusal:
    """Returns the refusal (503) of a peer that comes while this reflector is shutting down.

    Its Retry-After is short, because most such peers had to leave a moment ago: another reflector takes them now, or
    this one in a moment, after its restart.
    """
    return Refusal(503, "this reflector is shutting down", retry_after=1)


def directory_away() -> Refusal:
    """Returns a refusal (503) for a request that needs the directory. Use it if the directory does not answer."""
    return Refusal(503, "sessions cannot be registered or found at the moment", retry_after=5)


def broken_entry(what: str, error: BrokenEntry) -> Refusal:
    """Returns a refusal (503) for a request that needs an entry of the directory. Use it if the entry is broken.

    `what`: the thing that the entry belongs to, such as "this signature". It is shown to the peer.
    """
    words = "the directory's entry for %s cannot be used" % what
    return Refusal(503, words, "%s: %s" % (words, error), retry_after=5)
