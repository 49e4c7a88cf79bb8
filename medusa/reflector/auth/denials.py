"""The refusals of requests that are not properly signed. Several reasons get the same answer.

A login is the name of an account. A refusal must not tell a stranger which logins, keys and sessions exist. So a wrong
signature, an unknown login, an unknown key, and a session that does not exist all get the same answer (`UNKNOWN`).
They also get it after the same time (see Admission.hold_back).
"""

from __future__ import annotations

from medusa.protocol.http.signature import REQUEST_TARGET
from medusa.reflector.refusal import Refusal

STRONG = (REQUEST_TARGET, "host", "date")
"""The parts of a request that the signature in a header must cover, so that it is valid for this request only."""

UNKNOWN = "there is no such session, or the signature does not open it: check login, key, host and path"

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
