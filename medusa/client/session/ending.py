"""The ways in which a session ends, and what mlogin does for each: one table."""

from __future__ import annotations

import enum
from typing import NamedTuple

from medusa.client.outcome import Failure, OutcomeUnknown
from medusa.protocol.control import Exit


class Ending(enum.Enum):
    """Why a session is over."""

    EXIT = "the agent said how the command ended"
    NOT_STARTED = "the agent could not start the command"
    AGENT_FAILED = "the agent failed after the command had started"
    LINK_LOST = "the link to the reflector ended before the agent said how the command ended"
    DISCONNECTED = "the user asked for it by an escape, or the terminal is gone"
    OUTPUT_CLOSED = "nobody reads standard output any more"
    INTERRUPTED = "a signal asked for it"


class Step(NamedTuple):
    """What follows.

    Attributes:
        close: reason of the Close that mlogin sends; None if the link is lost.
        drain: whether output that has arrived is still written, however slow its reader is.
        error: what mlogin raises; None if it returns the agent's Exit.
    """

    close: str | None
    drain: bool
    error: type[Failure | OutcomeUnknown] | None


STEPS = {
    Ending.EXIT: Step("done", drain=True, error=None),
    Ending.NOT_STARTED: Step("aborting", drain=False, error=Failure),
    Ending.AGENT_FAILED: Step("aborting", drain=False, error=OutcomeUnknown),
    Ending.LINK_LOST: Step(None, drain=True, error=OutcomeUnknown),
    Ending.DISCONNECTED: Step("disconnected by the user", drain=False, error=OutcomeUnknown),
    Ending.OUTPUT_CLOSED: Step("output closed", drain=False, error=OutcomeUnknown),
    Ending.INTERRUPTED: Step("interrupted", drain=False, error=OutcomeUnknown),
}


class SessionEnded(Exception):
    """Raised inside the session's loop to leave it.

    Attributes:
        exit: the agent's, for Ending.EXIT only.
    """

    def __init__(self, ending: Ending, text: str = "", end: Exit | None = None) -> None:
        super().__init__(text)
        self.ending = ending
        self.exit = end

    @property
    def step(self) -> Step:
        return STEPS[self.ending]

    def result(self) -> Exit:
        """The agent's Exit. Raises Failure or OutcomeUnknown for every other ending."""
        if self.step.error is not None:
            raise self.step.error(str(self))
        assert self.exit is not None
        return self.exit
