"""No job system at all: the user starts the agent, by one line pasted into whatever runs there."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

LONGEST_URL = 3600.0
"""Seconds; a reflector that was not told otherwise takes no signed URL that is good for longer."""

MARGIN = 60.0
"""Seconds before a URL expires at which the user gets another: who has just copied a line still pastes it."""


class ManualLauncher(Launcher):
    """Says what to paste, then waits; says it again with a new URL when that one expires. The job is the user's own,
    and so is its end."""

    name = "manual"

    def __init__(self, settings: Settings, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        settings.refuse_others(self.name, "archive")
        if settings.archive is not None:
            raise Failure("--archive means nothing to the launcher `manual`: the job fetches the reflector's")
        self._clock = clock
        self._request: JobRequest | None = None
        self._url = ""
        self._due = 0.0

    def describe(self) -> str:
        return "a job of yours"

    def submit(self, request: JobRequest) -> None:
        self._request = request

    def instructions(self) -> list[str]:
        request, now = self._request, self._clock()
        if request is None or now < self._due:
            return []
        lifetime = min(request.patience or LONGEST_URL, LONGEST_URL)
        before, self._url = self._url, request.session_url(lifetime)
        self._due = now + max(lifetime - MARGIN, lifetime / 2)
        if request.patience is not None and lifetime >= request.patience:
            self._due = now + lifetime  # nobody waits for longer
        if self._url == before:  # one that is not signed does not expire
            return []
        if before:
            return ["That line is about to expire. From now on, run this one:", "", _line(request, self._url), ""]
        bring = [] if request.archive_url else ["Bring agent.sh into the job; `medusa archive -o agent.sh` writes it."]
        return [*bring, "In the job, run this line:", "", _line(request, self._url), ""]

    def poll(self) -> JobState:
        return JobState(alive=True, words="start it by the line above")

    def log_tail(self) -> list[str]:
        return []

    def finish(self, patience: float, *, clean: bool) -> None:
        """It ends with its session."""

    def cancel(self) -> None:
        """It is not there, or the agent's own link ends it."""


def _line(request: JobRequest, url: str) -> str:
    """The URL lets whoever reads it into the session: a variable, as process lists show arguments."""
    variables = f"{'MEDUSA_INSECURE_TLS=1 ' * request.insecure_tls}MEDUSA_SIGNED_URL={_quoted(url)}"
    if request.archive_url is None:
        return f"{variables} sh agent.sh"
    curl = "curl -fsSk" if request.insecure_tls else "curl -fsS"
    return f"{curl} {shlex.quote(request.archive_url)} | {variables} sh"


def _quoted(url: str) -> str:
    """In quotes whatever it holds: people change what they paste."""
    return "'" + url.replace("'", "'\"'\"'") + "'"
