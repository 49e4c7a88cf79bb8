"""The exit statuses of mlogin, and the exceptions that end it with one of these statuses."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import TYPE_CHECKING

from medusa.protocol.record import record
from medusa.signal_pipe import signal_name

if TYPE_CHECKING:
    from medusa.protocol.control import Exit

OUTCOME_UNKNOWN = 254
"""The exit status if the session ended before the agent reported how the command ended, such as by a lost link."""

OWN_ERROR = 255
"""The exit status if no session was started. ssh(1) uses the same number for its own errors."""

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""The exit statuses, as in shells: for a command that cannot be executed, and for a command that is not found."""

SIGNALLED = 128
"""If a signal ended the remote command, the exit status is this plus the signal's number, as in shells."""

INTERRUPTED = SIGNALLED + signal.SIGINT
"""The exit status if the user pressed Control-C before the session was started."""


class Failure(Exception):
    """An error that ends mlogin. Its text is shown to the user; `status` is the exit status.

    Raise this class itself for errors before the session was started, and a subclass for later ones.
    """

    status = OWN_ERROR


class NotExecutable(Failure):
    """The agent found the command, but could not execute it. The exit status is 126, as in shells."""

    status = NOT_EXECUTABLE


class NotFound(Failure):
    """The agent did not find the command. The exit status is 127, as in shells."""

    status = NOT_FOUND


class OutcomeUnknown(Failure):
    """The session was started, but it is unknown how the command ended. The exit status is 254."""

    status = OUTCOME_UNKNOWN

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; outcome unknown")


class GivenUp(OutcomeUnknown):
    """The session was ended on mlogin's side: by the user, by a signal, or because nobody reads the output any more.

    In this case the job has only `disconnect_grace` seconds to end by itself. Then mlogin ends it.
    """


class Detached(Failure):
    """The user has left the session, which goes on without this program. The exit status is 0."""

    status = 0


class TakenOver(Failure):
    """Another client has taken over the terminal of the session. The session goes on without this mlogin.

    So it is not known here how the session's command ends. The exit status is 254.
    """

    status = OUTCOME_UNKNOWN


class Interrupted(BaseException):
    """A signal asks mlogin to end. It is a BaseException, so that no `except Exception` catches it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"ended by {signal_name(signum)}")
        self.signum = signum

    @property
    def status(self) -> int:
        """The exit status if the session was not started."""
        return INTERRUPTED if self.signum == signal.SIGINT else OWN_ERROR


class Disconnected(Interrupted):
    """The user typed the escape sequence to disconnect, such as `~.`, before the session began.

    mlogin ends in the same way as after a signal.
    """

    def __init__(self) -> None:
        BaseException.__init__(self, "disconnected")
        self.signum = 0


def pip_install(package: str) -> str:
    """Returns the command that installs `package` into the environment that this program runs in."""
    return shlex.join([sys.executable or "python3", "-m", "pip", "install", package])


def status_of(end: Exit) -> int:
    """Returns mlogin's exit status for `end`, the agent's message about the end of the command.

    The status is 0 if the message has neither a status nor a signal. Agents of the original Medusa send such messages.
    """
    if end.signal is None:
        return end.status or 0
    try:
        return SIGNALLED + signal.Signals[end.signal].value
    except KeyError:
        # This system has no number for that signal. The status must still report an error.
        return SIGNALLED


def cut_off(end: Exit) -> bool:
    """True if a signal ended the command, or if the command's exit status is above 128.

    A shell exits with such a status if a signal ended a program that the shell ran.
    """
    return end.signal is not None or (end.status or 0) > SIGNALLED


@record(frozen=False)
class SessionState:
    """What has become of the session so far. It decides how mlogin ends.

    Attributes:
        started: True if mlogin has begun the session. Then the agent may have started the user's command.
        left: True if the user has left the session, which goes on.
        left_to_guard: True if the link counts as dead, so that mlogin's guard process is to end the job.
    """

    started: bool = False
    left: bool = False
    left_to_guard: bool = False
