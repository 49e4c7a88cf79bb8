"""No job at all to start: the agent of a session is started elsewhere, and holds on until somebody attaches."""

from __future__ import annotations

import urllib.parse

from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.protocol.session_id import parse_id


class HeldLauncher(Launcher):
    """Waits in the session that --session names. The job is not ours, and so is its end."""

    name = "held"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        settings.refuse_others("held", "session")
        if settings.session is None:
            raise Failure("the launcher `held` needs --session ID: it starts nothing by itself")
        try:
            self._session = parse_id(urllib.parse.quote(settings.session, safe=""))
        except HandshakeError:
            raise Failure(f"`{printable(settings.session)}` is no session's id") from None
        self._state = JobState(alive=True, words="not here yet")

    def create(self) -> str:
        return self._session

    def describe(self) -> str:
        return "an agent that is started elsewhere"

    def submit(self, request: JobRequest) -> None:
        """It was told where to dial by whoever started it."""

    def poll(self) -> JobState:
        return self._state

    def joined(self) -> None:
        self._state = JobState(alive=True, words="running")

    def log_tail(self) -> list[str]:
        return ["is it running, and does it dial this reflector, for this session and account?"]

    def finish(self, patience: float, *, clean: bool) -> None:
        """It ends with its session."""

    def cancel(self) -> None:
        """It was not started here."""
