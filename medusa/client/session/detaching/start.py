"""Starts a command in a terminal that the agent keeps, for `mlogin -d`. It does not use the user's own terminal."""

from __future__ import annotations

from collections.abc import Callable

from medusa.client.outcome import Detached, Failure
from medusa.client.session.detaching.rounds import until
from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.link_errors import describe
from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.needed import NeededStream
from medusa.client.session.remote.streamed import StreamRemote
from medusa.client.streams.conversation import Conversation
from medusa.client.terminal.signals import Signals
from medusa.protocol.control import Start
from medusa.transports.base import CLOSE_TIMEOUT
from medusa.transports.link import LinkLost

TIMEOUT = 60.0
"""Seconds for each step of the agent: it starts the command, and confirms that it keeps the terminal."""

NOT_KEPT = "not detached: the agent or the reflector keeps no session without mlogin"
NOT_LEFT = "not detached: jobs of this launcher end with mlogin"
SILENT = "the agent does not answer"


def start_detached(
    conversation: Conversation,
    start: Start,
    keep: Callable[[], bool],
    tell: Callable[[str], None],
    signals: Signals,
    timeout: float = TIMEOUT,
) -> None:
    """Makes the agent start a command in a terminal, and leaves the terminal running.

    Returns after the agent has confirmed that it keeps the terminal, or after the command has ended.

    Args:
        conversation: the client's end of the stream. The agent has attached: the message Linkup has arrived.
        start: the message that names the command.
        keep: a function that makes the job go on after mlogin's end. It returns False if that is not possible.
        tell: a function that shows a text to the user.
        signals: the signals of mlogin.
        timeout: seconds to wait for the start of the command, and then again for the confirmation.

    Raises:
        Failure: the command was not started, or its terminal is not kept.
        Interrupted: a signal asked mlogin to end.
    """
    remote: Remote = NeededStream(conversation, StreamRemote(conversation, start, tell), tell)

    def started(found: Remote) -> bool:
        nonlocal remote
        remote = found
        return isinstance(found, StreamRemote) and found.opened

    try:
        remote.begin()
        if not until(remote, started, timeout, signals):
            raise Failure(SILENT)
        if not remote.detachable:
            raise Failure(NOT_KEPT)
        if not keep():
            raise Failure(NOT_LEFT)
        remote.detach()
        if not until(remote, lambda found: found.detached, timeout, signals):
            raise Failure(SILENT)
        raise SessionEnded(Ending.DETACHED)
    except SessionEnded as ended:
        remote.close(ended.step.close or "", CLOSE_TIMEOUT)
        if ended.ending is not Ending.EXIT:  # a command that has ended already has had its terminal
            _result(ended)
    except LinkLost as lost:
        raise Failure(describe(lost)) from None


def _result(ended: SessionEnded) -> None:
    try:
        ended.result()
    except Detached:
        pass
