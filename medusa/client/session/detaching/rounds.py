"""Runs a session without showing its output, until a condition is true."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from medusa.client.session.remote.base import Remote
from medusa.client.terminal.poll_set import PollSet
from medusa.client.terminal.signals import Signals
from medusa.transports.link import LinkLost

_ROOM = 1 << 20
"""Bytes of output that are dropped at once."""


def until(remote: Remote, condition: Callable[[Remote], bool], timeout: float, signals: Signals | None = None) -> bool:
    """Runs the session until `condition` returns True, and then returns True. Returns False after `timeout` seconds.

    All output of the session is dropped.

    Args:
        remote: the agent's side of the session.
        condition: a function that is called again and again. Its argument is the agent's side: `remote`, or the object
            that has taken the place of `remote` (see `Remote.settled`).
        signals: the signals of mlogin; None to ignore signals.

    Raises:
        SessionEnded: the agent's side has ended the session.
        LinkLost: the link is lost for good.
        Interrupted: a signal asked mlogin to end.
    """
    poll, deadline = PollSet(), time.monotonic() + timeout
    watched = {} if signals is None else {signals.fileno(): select.POLLIN}
    while True:
        try:
            while remote.receive(_ROOM) or remote.settled() is not remote:
                remote = remote.settled()
            remote.flush()
            remote.keep_alive()
            if condition(remote):
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            due = min(left, remote.deadline() - time.monotonic())
            remote.step(poll.wait({**watched, **remote.wanted(_ROOM)}, max(0.0, due)))
        except LinkLost as lost:
            remote.lost(lost)
        if signals is not None:
            signals.take_or_raise()
