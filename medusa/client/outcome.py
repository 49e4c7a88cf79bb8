"""Exit statuses of mlogin, and the errors that carry them."""

from __future__ import annotations

import signal

from medusa.protocol.control import Exit
from medusa.signal_pipe import signal_name

OUTCOME_UNKNOWN = 254
"""The session was started, and ended before the agent said how the command ended. A lost link never gives 0."""

OWN_ERROR = 255
"""No session was started. The same number as ssh(1)'s."""

SIGNALLED = 128
"""Added to the number of the signal that ended the remote command, as shells do."""


class Failure(Exception):
    """Ends mlogin: its text is for the user, `status` is the exit status.

    This class itself is for errors before the session was started.
    """

    status = OWN_ERROR


class OutcomeUnknown(Failure):
    """The session was started, and how the command ended is not known."""

    status = OUTCOME_UNKNOWN

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; outcome unknown")


class Interrupted(BaseException):
    """A signal asks mlogin to end. Not an Exception, so that no general handler swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"ended by {signal_name(signum)}")
        self.signum = signum


def status_of(end: Exit) -> int:
    """The exit status for the agent's Exit; 0 if that has neither status nor signal, as from an original agent."""
    if end.signal is None:
        return end.status or 0
    try:
        return SIGNALLED + signal.Signals[end.signal].value
    except KeyError:
        # This system has no number for the signal; it is still no success.
        return SIGNALLED
