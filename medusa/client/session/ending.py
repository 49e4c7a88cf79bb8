"""Lists the ways in which a session can end, with what mlogin does then, and finds them in the events of a stream."""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable
from typing import NamedTuple

from medusa.client.outcome import (
    Detached,
    Failure,
    GivenUp,
    Interrupted,
    NotExecutable,
    NotFound,
    OutcomeUnknown,
    TakenOver,
)
from medusa.protocol.channels.channel import Event
from medusa.protocol.channels.frames import CLOSE, EOF, GOAWAY, REFUSED, RESULT, Reason
from medusa.protocol.channels.kinds import STDERR, STDOUT
from medusa.protocol.control import Exit
from medusa.protocol.printable import printable
from medusa.transports.link import LinkLost

STOPPED = "stopped"
"""The code of a GOAWAY of an agent that a signal stops, for example because the job's time is over."""

STOLEN = "stolen"
"""The code of a CLOSE that ends a client's use of a terminal, because another client has taken it over."""

MAX_WORDS = 1024
"""The maximum number of characters that are shown of a reason from the agent."""


class Ending(enum.Enum):
    """The ways in which a session can end."""

    EXIT = "the agent said how the command ended"
    NOT_STARTED = "the agent could not start the command"
    NOT_FOUND = "the agent did not find the command"
    NOT_EXECUTABLE = "the agent could not execute the command"
    AGENT_FAILED = "the agent failed after the command had started"
    BROKEN = "the stream or its channel ended before the agent said how the command ended, or bytes were lost"
    LINK_LOST = "the link to the reflector ended before the agent said how the command ended"
    DISCONNECTED = "the user asked for it by an escape"
    HUNG_UP = "the user's terminal was closed"
    DETACHED = "the user has left the terminal, which goes on in the job"
    PARTED = "the user has left the terminal, and the agent has not confirmed that it goes on"
    TAKEN_OVER = "another client has taken the terminal over"
    OUTPUT_CLOSED = "nobody reads standard output any more"
    INTERRUPTED = "a signal asked for it"


class Step(NamedTuple):
    """Says what mlogin does after a session has ended.

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
    Ending.NOT_FOUND: Step("aborting", drain=False, error=NotFound),
    Ending.NOT_EXECUTABLE: Step("aborting", drain=False, error=NotExecutable),
    Ending.AGENT_FAILED: Step("aborting", drain=False, error=OutcomeUnknown),
    Ending.BROKEN: Step("aborting", drain=True, error=OutcomeUnknown),
    Ending.LINK_LOST: Step(None, drain=True, error=OutcomeUnknown),
    Ending.DISCONNECTED: Step("disconnected by the user", drain=False, error=GivenUp),
    Ending.HUNG_UP: Step("disconnected by the user", drain=False, error=GivenUp),
    Ending.DETACHED: Step("detached", drain=False, error=Detached),
    Ending.PARTED: Step(None, drain=False, error=Detached),
    Ending.TAKEN_OVER: Step("taken over", drain=True, error=TakenOver),
    Ending.OUTPUT_CLOSED: Step("output closed", drain=False, error=GivenUp),
    Ending.INTERRUPTED: Step("interrupted", drain=False, error=GivenUp),
}


class SessionEnded(Exception):
    """Raised by the session's loop to end itself.

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


def ended_by(step: Callable[[], object], lost: Callable[[LinkLost], SessionEnded]) -> SessionEnded | None:
    """Calls `step`. Returns how the session has ended during the call, or None if it goes on.

    Args:
        lost: a function that is called if the link was lost. It returns how the session has ended then.
    """
    try:
        step()
        return None
    except SessionEnded as ended:
        return ended
    except LinkLost as error:
        return lost(error)
    except Interrupted as error:
        hung_up = error.signum == signal.SIGHUP
        interrupted = SessionEnded(Ending.HUNG_UP if hung_up else Ending.INTERRUPTED, str(error))
        interrupted.__cause__ = error
        return interrupted


_NAMES = {STDOUT: "the output", STDERR: "the error output"}

_REFUSALS = {"not-found": Ending.NOT_FOUND, "not-executable": Ending.NOT_EXECUTABLE}
"""Code of the event REFUSED -> how the session ends. Any other code means that the command could not be started."""


def channel_end(event: Event) -> SessionEnded | None:
    """Returns how the session has ended because of `event`, or None if the session goes on.

    Call this for each event of the stream, in order. Stop after the first result that is not None.
    """
    tell = _ENDS.get(event.type)
    return None if tell is None else tell(event)


def _on_result(event: Event) -> SessionEnded:
    readers = event.channel.readers.items()
    lost = [_NAMES[sub] for sub, reader in readers if not (reader.complete or reader.stopped)]
    if lost:
        return SessionEnded(Ending.BROKEN, f"{' and '.join(lost)} did not arrive whole")
    return SessionEnded(Ending.EXIT, end=Exit(**event.value))


def _on_eof(event: Event) -> SessionEnded | None:
    if not event.value:
        return None
    return SessionEnded(Ending.BROKEN, f"{_NAMES[event.sub]} did not arrive as it was sent ({event.value})")


def _on_refused(event: Event) -> SessionEnded:
    return SessionEnded(_REFUSALS.get(event.value.code, Ending.NOT_STARTED), f"the agent says: {_words(event.value)}")


def _on_close(event: Event) -> SessionEnded:
    if event.value.code == STOLEN:
        return SessionEnded(Ending.TAKEN_OVER, "another client has taken the terminal over; the session goes on there")
    return SessionEnded(Ending.BROKEN, f"the agent has not said how the command ended{_why(event.value)}")


def _on_goaway(event: Event) -> SessionEnded:
    if event.value.code == STOPPED:
        return SessionEnded(Ending.BROKEN, f"the agent says: {_words(event.value)}")
    return SessionEnded(Ending.BROKEN, f"the stream between mlogin and the agent has ended{_why(event.value)}")


def _words(reason: Reason) -> str:
    return printable(reason.words or reason.code, MAX_WORDS) or "no reason given"


def _why(reason: Reason) -> str:
    """Returns the reason in parentheses; "" if there is none."""
    shown = ": ".join(printable(text, MAX_WORDS) for text in reason if text)
    return f" ({shown})" if shown else ""


_ENDS: dict[int, Callable[[Event], SessionEnded | None]] = {
    RESULT: _on_result,
    EOF: _on_eof,
    REFUSED: _on_refused,
    CLOSE: _on_close,
    GOAWAY: _on_goaway,
}
