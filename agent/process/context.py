"""The settings and functions of the agent's process that its commands and links need."""

from __future__ import annotations

import os
import time
from typing import Callable, Collection, Mapping

from agent.process.inherited import NOTHING, Inherited
from agent.signals import StopSignals
from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.guard import Guard
from medusa.protocol.record import field, record


def _new_incarnation() -> str:
    return os.urandom(16).hex()


@record
class Context:
    """The settings and functions of the agent's process that a session needs.

    Attributes:
        environ: the agent's own environment, decoded by `to_text` of agent/command/encoding.py.
        log: a function that logs one line about an event.
        inherited: the settings, inherited from the job, that are restored for the command.
        clock: a function that returns monotonic seconds.
        passed_on: the signals that the agent passes on to the foreground processes of its commands.
        login_shell: False to start no login shell, even if the client asks for one. A login shell changes variables
            such as PATH. But the shell after a failed step (see agent/wrap) must have the variables of the step.
        guest: True if the agent is a guest in somebody else's job. It then does not end processes that made themselves
            daemons.
        forbidden: why the agent forwards no connections, as words for the user; "" if it does.
        incarnation: names this process, in 32 hexadecimal digits. The agent tells it to clients.
    """

    signals: StopSignals
    guard: Guard
    environ: Mapping[str, str]
    log: Callable[[str], None]
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    clock: Callable[[], float] = time.monotonic
    inherited: Inherited = NOTHING
    passed_on: Collection[int] = ()
    login_shell: bool = True
    guest: bool = False
    forbidden: str = ""
    incarnation: str = field(default_factory=_new_incarnation)
