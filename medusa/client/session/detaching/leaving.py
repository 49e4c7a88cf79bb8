"""How the user may leave a session without ending it: by an escape, or because the terminal here was closed."""

from __future__ import annotations

from collections.abc import Callable

from medusa.client.session.detaching.rounds import until
from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.remote.base import Remote
from medusa.protocol.errors import StreamError
from medusa.transports.link import LinkLost

TIMEOUT = 5.0
"""Seconds to wait until the agent confirms that it keeps the terminal."""

NOT_KEPT = "the agent or the reflector keeps nothing without mlogin, or the agent has not answered yet"
NOT_LEFT = "jobs of this launcher end with mlogin"


class Leaving:
    """How the user may leave one session.

    Args:
        keep: a function that is called once, as soon as it is certain that the session can go on without mlogin. It
            leaves the job alone from now on, and returns False if that is not possible.
        refusal: why the session ends with mlogin in any case; "" if it need not.
        on_hangup: True if the session goes on after the user's terminal was closed, as after the escape.
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
        """Calls `keep` if it is time to. Call this in each round of the session's loop."""
        if not (self._kept or self._refusal) and remote.detachable:
            self._kept = True
            self._refusal = "" if self._keep() else NOT_LEFT

    def refusal(self, remote: Remote) -> str:
        """Returns why the user cannot leave the session now; "" if that is possible."""
        self.check(remote)
        return self._refusal or ("" if self._kept else NOT_KEPT)

    def at_end(self, ended: SessionEnded, remote: Remote) -> SessionEnded:
        """Returns how the session ends for the user, after it has ended as `ended` says.

        If the user leaves it, or has lost the terminal and the session goes on, waits until the agent confirms that it
        keeps the terminal. The result is DETACHED then, PARTED if the agent does not confirm it, or the end of the
        command if that comes first.
        """
        if ended.ending is Ending.HUNG_UP and self._on_hangup and not self.refusal(remote):
            ended = SessionEnded(Ending.DETACHED)
        if ended.ending is not Ending.DETACHED:
            return ended
        try:
            remote.detach()
            confirmed = until(remote, lambda found: found.detached, self._timeout)
            return SessionEnded(Ending.DETACHED if confirmed else Ending.PARTED)
        except SessionEnded as other:
            return other
        except (LinkLost, StreamError):
            return SessionEnded(Ending.PARTED)
