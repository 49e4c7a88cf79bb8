"""Exit statuses of mlogin, and the errors that carry them."""

from __future__ import annotations

import signal

from medusa.protocol.control import Exit

OUTCOME_UNKNOWN = 254
"""The session was started, and ended before the agent said how. Never 0 for a lost link."""

OWN_ERROR = 255
"""No session came to be; as ssh."""

SIGNALLED = 128
"""Added to the number of the signal that ended the remote command; as shells do."""


class Failure(Exception):
    """Ends mlogin with `status` and its text. As it stands: an error before the session started."""

    status = OWN_ERROR


class OutcomeUnknown(Failure):
    """The session was started, and nobody knows how it ended."""

    status = OUTCOME_UNKNOWN

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; outcome unknown")


class Interrupted(BaseException):
    """A signal asks mlogin to end. Not an Exception: nothing on the way may take it for an error of its own."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"ended by {signal_name(signum)}")
        self.signum = signum


def signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def status_of(end: Exit) -> int:
    """The exit status for the agent's last word. An original agent says neither status nor signal: 0."""
    if end.signal is None:
        return end.status or 0
    try:
        return SIGNALLED + signal.Signals[end.signal].value
    except KeyError:
        # A signal that this system has no number for is still no success.
        return SIGNALLED
