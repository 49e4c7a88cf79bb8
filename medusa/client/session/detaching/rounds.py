"""Goes on with a session whose output nobody needs, until something is the case."""

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
    """Goes on with the session until `condition` returns True. Returns False if it is not true after `timeout` seconds.

    Args:
        condition: gets the object to use from now on; see `Remote.settled`.
        signals: the signals that end the wait; None to look at none.

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
            remote.keep_alive()
            remote.flush()
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
