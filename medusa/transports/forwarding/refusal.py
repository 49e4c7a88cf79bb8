"""The exception that says why something is not forwarded, and the codes of the reasons."""

from __future__ import annotations

REFUSED, UNKNOWN_HOST, TIMEOUT, FORBIDDEN, LIMIT = "refused", "unknown-host", "timeout", "forbidden", "limit"
IN_USE, NOT_PERMITTED = "in-use", "not-permitted"
"""The codes with which the agent refuses a channel. The last two concern listeners only."""


class CannotForward(Exception):
    """Raised if the agent cannot connect to a target, or cannot listen. The text is shown to the user.

    Attributes:
        code: the reason as one word, such as REFUSED.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code
