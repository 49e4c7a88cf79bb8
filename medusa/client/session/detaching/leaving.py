"""Lets the user leave a session without ending it: by an escape, or because the terminal here was closed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from medusa.client.session.detaching.rounds import until
from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.remote.base import Remote
from medusa.protocol.errors import StreamError
from medusa.transports.link import LinkLost

TIMEOUT = 5.0
"""Seconds to wait until the agent confirms that it keeps the terminal."""

INPUT_TIMEOUT = 1.0
"""Seconds to wait before that until the agent takes what was typed. A command may read no input."""

NOT_KEPT = "the agent or the reflector keeps nothing without mlogin, or the agent has not answered yet"
NOT_LEFT = "jobs of this launcher end with mlogin"


class Leaving:
    """Lets the user leave one session without ending it, if that is possible.

    Args:
        keep: a function that makes the job go on after mlogin's end. It returns False if that is not possible. It is
            called once, as soon as the agent can keep the terminal without mlogin.
        refusal: the reason why the user cannot leave this session at all; "" if there is none.
        on_hangup: True if the session goes on after the user's terminal was closed, False if it ends then.
        timeout: the seconds to wait until the agent confirms that it keeps the terminal.
    """

    def __init__(
        self,
        keep: Callable[[], bool] = lambda: True,
        *,
        refusal: str = "",
        on_hangup: bool = True,
        timeout: float = TIMEOUT,
    ) -> None:
        self._keep, self._refusal, self._on_hangup, self._timeout = keep, refusal, on_hangup, timeout
        self._kept = False

    def check(self, remote: Remote) -> None:
        """Calls `keep` as soon as the agent can keep the terminal. Call this in each round of the session's loop."""
        if not (self._kept or self._refusal) and remote.detachable:
            self._kept = True
            self._refusal = "" if self._keep() else NOT_LEFT

    def refusal(self, remote: Remote) -> str:
        """Returns the reason why the user cannot leave the session now; "" if the user can."""
        self.check(remote)
        return self._refusal or ("" if self._kept else NOT_KEPT)

    def at_end(self, ended: SessionEnded, remote: Remote, typed: UserInput) -> SessionEnded:
        """Returns how the session ends for the user.

        If the user leaves the session, this sends what the agent takes of the input soon, asks the agent to keep the
        terminal, and waits for its answer. It does the same if the user's terminal was closed and the session is to go
        on. The result is then one of these:

        - DETACHED: the agent has confirmed that it keeps the terminal. The text says how much input was dropped, if any
          was.
        - PARTED: the agent has not confirmed it in time, or the link is lost. The guard process is to tell it.
        - the end of the command, if that comes first.

        In all other cases, the result is `ended`.

        Args:
            ended: how the session's loop has ended.
            typed: the input that was not sent to the agent.
        """
        if ended.ending is Ending.HUNG_UP and self._on_hangup and not self.refusal(remote):
            ended = SessionEnded(Ending.DETACHED)
        if ended.ending is not Ending.DETACHED:
            return ended
        try:
            _ask(remote, typed)
            if not remote.parted:
                until(remote, lambda found: found.detached or found.parted, self._timeout)
            if remote.detached:
                return SessionEnded(Ending.DETACHED, _dropped(typed))
        except SessionEnded as other:
            return other
        except StreamError:
            return SessionEnded(Ending.PARTED)
        except LinkLost:
            pass
        remote.part(typed.take)
        return SessionEnded(Ending.PARTED)


def _ask(remote: Remote, typed: UserInput) -> None:
    """Sends the input, and then asks the agent to keep the terminal. Raises as `until`.

    Input that the agent has not taken within INPUT_TIMEOUT is not sent.
    """
    try:
        if not remote.parted:
            until(remote, lambda found: found.parted or _sends_all(found, typed), INPUT_TIMEOUT)
    except LinkLost:
        with contextlib.suppress(LinkLost, StreamError):
            remote.detach()  # for the guard, which tells the agent
        raise
    remote.detach()


def _dropped(typed: UserInput) -> str:
    """Returns a text that says how much of the input was not sent; "" if all was. The agent may drop more of it."""
    size = len(typed.waiting)
    return f"input was dropped, because the command does not read it: {size} bytes or more" if size else ""


def _sends_all(remote: Remote, typed: UserInput) -> bool:
    """Sends as much of the input as the agent takes now. Returns True if nothing of it is left here."""
    while typed.waiting and (room := remote.room):
        remote.send(typed.take(room))
        remote.flush()
    return not (typed.waiting or remote.sending)
