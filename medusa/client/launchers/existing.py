"""The launcher for `mlogin --session`: starts nothing, and waits for an agent that is started elsewhere."""

from __future__ import annotations

import urllib.parse

from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.protocol.session_id import parse_id


class ExistingLauncher(Launcher):
    """Waits for the agent of a job that is started and ended elsewhere.

    The agent attaches to the session that --session names.
    """

    name = "held"
    target = options_of = ""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        settings.refuse_others(self.name, "session")
        if settings.session is None:
            raise Failure("the launcher `held` needs --session ID: it starts nothing by itself")
        try:
            self._session = parse_id(urllib.parse.quote(settings.session, safe=""))
        except HandshakeError:
            raise Failure(f"`{printable(settings.session)}` is no session's id") from None
        self._joins = settings.joins
        self._state = JobState(alive=True, words="no answer yet" if settings.joins else "not here yet")

    def create(self) -> str:
        return self._session

    def describe(self) -> str:
        return f"the agent of {self._session}" if self._joins else "an agent that is started elsewhere"

    def submit(self, request: JobRequest) -> None:
        """Does nothing: the agent already has the URL at which to attach."""

    def poll(self) -> JobState:
        return self._state

    def joined(self) -> None:
        self._state = JobState(alive=True, words="running")

    def log_tail(self) -> list[str]:
        if self._joins:
            return ["the job may be suspended, or its machine busy"]
        return ["is it running, and does it dial this reflector, for this session and account?"]

    def keep(self) -> bool:
        return True

    def finish(self, grace: float, *, clean: bool) -> None:
        """Does nothing: the agent ends by itself after the session."""

    def cancel(self) -> None:
        """Does nothing: this mlogin has not started the job."""
