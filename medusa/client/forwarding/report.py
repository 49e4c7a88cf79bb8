"""Tells the user what is forwarded, and what could not be."""

from __future__ import annotations

import time
from collections.abc import Callable

from medusa.client.places.specs import Forward, Place, Side
from medusa.protocol.channels.frames import Reason
from medusa.protocol.printable import printable
from medusa.transports.forwarding.refusal import FORBIDDEN

MAX_WORDS = 500
"""The most characters that are shown of the agent's words."""

REPEAT_INTERVAL = 1.0
"""Seconds in which the same line is not shown again: a program may try many connections to one closed port."""

MAX_KNOWN = 64
"""The most lines that are remembered for this."""

UNSUPPORTED = "unsupported"
"""The code with which an agent refuses a kind of channel that it does not know."""

TOO_OLD = "the agent of this session is too old to forward connections"


class Report:
    """Writes lines for the user.

    Args:
        tell: a function that shows a line in any case.
        say: a function that shows a line of advice.
        clock: a function that returns monotonic seconds.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._say, self._clock = tell, say, clock
        self._told: dict[str, float] = {}

    def forwarding(self, forward: Forward, place: Place) -> None:
        """Tells that `forward` listens at `place`. A port that the user has not chosen is shown in any case."""
        there = " in the job" if forward.side is Side.REMOTE else ""
        target = "whatever SOCKS asks for" if forward.target is None else str(forward.target)
        show = self._tell if not (forward.listen.port or forward.listen.path) else self._say
        if show is not None:
            show(f"forwarding {place}{there} to {target}")

    def refused(self, reason: Reason) -> None:
        """Tells that the agent has refused a connection or a listener. `reason`: the code and words of the agent."""
        words = printable(reason.words or reason.code, MAX_WORDS)
        where = "" if reason.code == FORBIDDEN else "in the job, "
        self.problem(TOO_OLD if reason.code == UNSUPPORTED else f"not forwarded: {where}{words}")

    def problem(self, text: str) -> None:
        """Shows a line about something that could not be forwarded. Does not repeat a line at once."""
        now = self._clock()
        if now < self._told.get(text, now - 1) + REPEAT_INTERVAL and text in self._told:
            return
        while len(self._told) >= MAX_KNOWN:
            del self._told[next(iter(self._told))]
        self._told[text] = now
        self._tell(text)
