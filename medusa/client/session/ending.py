"""A table: the ways in which a session can end, and what mlogin does in each case."""

from __future__ import annotations

import enum
from typing import NamedTuple

from medusa.client.outcome import Failure, GivenUp, OutcomeUnknown
from medusa.protocol.control import Exit


class Ending(enum.Enum):
    """The ways in which a session can end."""

    EXIT = "the agent said how the command ended"
    NOT_STARTED = "the agent could not start the command"
    AGENT_FAILED = "the agent failed after the command had started"
    LINK_LOST = "the link to the reflector ended before the agent said how the command ended"
    DISCONNECTED = "the user asked for it by an escape, or the terminal is gone"
    OUTPUT_CLOSED = "nobody reads standard output any more"
    INTERRUPTED = "a signal asked for it"


class Step(NamedTuple):
    """What mlogin does when a session has ended.

    Attributes:
        close: the reason in the Close message that mlogin sends; None to send no Close because the link is lost.
        drain: True to write the rest of the received output to standard output, even if that takes long.
        error: the exception that mlogin raises; None if it returns the agent's Exit message.
    """

    close: str | None
    drain: bool
    error: type[Failure | OutcomeUnknown] | None


STEPS = {
    Ending.EXIT: Step("done", drain=True, error=None),
    Ending.NOT_STARTED: Step("aborting", drain=False, error=Failure),
    Ending.AGENT_FAILED: Step("aborting", drain=False, error=OutcomeUnknown),
    Ending.LINK_LOST: Step(None, drain=True, error=OutcomeUnknown),
    Ending.DISCONNECTED: Step("disconnected by the user", drain=False, error=GivenUp),
    Ending.OUTPUT_CLOSED: Step("output closed", drain=False, error=GivenUp),
    Ending.INTERRUPTED: Step("interrupted", drain=False, error=GivenUp),
}


class SessionEnded(Exception):
    """An exception that the session's loop raises to end itself.

    Args:
        text: words for the user.

    Attributes:
        ending: the way in which the session ended.
        exit: the agent's Exit message if `ending` is Ending.EXIT, else None.
    """

    def __init__(self, ending: Ending, text: str = "", end: Exit | None = None) -> None:
        super().__init__(text)
        self.ending = ending
        self.exit = end

    @property
    def step(self) -> Step:
        return STEPS[self.ending]

    def result(self) -> Exit:
        """Returns the agent's Exit message if there is one. Raises Failure or OutcomeUnknown otherwise."""
        if self.step.error is not None:
            raise self.step.error(str(self))
        assert self.exit is not None
        return self.exit
