"""Remembers why a session is kept while it has no client or no agent, and until when. No I/O; the time is passed in."""

from __future__ import annotations

from collections.abc import Sequence

from medusa.protocol.control import DETACHED, Kept, parse

AGENT = "agent"
"""The value of Keeping.what while the agent is away: it may come back."""

MAX_TEXT = 512
"""The size in bytes of the longest message that is read on a home link."""


class Keeping:
    """Remembers why one session is kept while it has no client or no agent, and until when.

    All times are of time.time().

    Attributes:
        what: the reason. AGENT while the agent is away; otherwise the reason that the agent has told, one of
            control.KEPT_FOR. None if there is no reason.
        ended: a text of the agent that says how a command has ended, if no client was told so; None if there is none.
    """

    __slots__ = ("_until", "ended", "what")

    def __init__(self, what: str | None = None) -> None:
        self.what = what
        self._until: float | None = None
        self.ended: str | None = None

    def agent_left(self, until: float | None) -> None:
        """Notes that the agent is away, and that its session is kept until the time `until`. None: no time is known."""
        self.what, self._until = AGENT, until

    def agent_came(self) -> None:
        """Notes that the agent is there. It has not told yet why it keeps the session."""
        self.what = self._until = self.ended = None

    def heard(self, texts: Sequence[bytes], now: float) -> None:
        """Reads the last of `texts`, which are messages of the agent. If it is a message Kept, stores what it says.

        Ignores any other message.
        """
        if len(texts[-1]) > MAX_TEXT:
            return
        kept = parse(texts[-1].decode("utf-8", "replace"))
        if isinstance(kept, Kept):
            self.what = kept.what
            self._until = None if kept.what is None or kept.seconds is None else now + kept.seconds
            self.ended = kept.ended

    def until(self, job_ends: float | None) -> float | None:
        """Returns the time until which the session is kept. None if no time is known, or if the session is not kept.

        Args:
            job_ends: the time at which the job ends; None if it is not known. The session is kept until this time if
                users have left terminals in it.
        """
        return job_ends if self.what == DETACHED else self._until
