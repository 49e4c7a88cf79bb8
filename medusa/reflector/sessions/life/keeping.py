"""What a session is kept for while it has no client, or no agent, and until when. No I/O; the time is passed in."""

from __future__ import annotations

from collections.abc import Sequence

from medusa.protocol.control import DETACHED, Kept, parse

AGENT = "agent"
"""The value of Keeping.what while the agent is away: it may come back."""

MAX_TEXT = 512
"""The size in bytes of the longest message that is read on a home link."""


class Keeping:
    """What one session is kept for. All times are of time.time().

    Attributes:
        what: AGENT, or what the agent has said, one of control.KEPT_FOR. None if there is no reason.
    """

    __slots__ = ("_until", "what")

    def __init__(self, what: str | None = None) -> None:
        self.what = what
        self._until: float | None = None

    def agent_left(self, until: float | None) -> None:
        """Takes note that the agent is away, and that its session is kept for it. `until`: None if not known."""
        self.what, self._until = AGENT, until

    def agent_came(self) -> None:
        """Takes note that the agent is there. It has not said yet what it keeps the session for."""
        self.what = self._until = None

    def heard(self, texts: Sequence[bytes], now: float) -> None:
        """Takes note of the last of these messages of the agent. Ignores it if it is no message Kept."""
        if len(texts[-1]) > MAX_TEXT:
            return
        kept = parse(texts[-1].decode("utf-8", "replace"))
        if isinstance(kept, Kept):
            self.what = kept.what
            self._until = None if kept.what is None or kept.seconds is None else now + kept.seconds

    def until(self, job_ends: float | None) -> float | None:
        """Returns the time until which the session is kept. None if that is not known, or if there is no reason for it.

        Args:
            job_ends: the end of the job, until which terminals are kept that users have left; None if it is not known.
        """
        return job_ends if self.what == DETACHED else self._until
