"""No job system at all: the user starts the agent, by one line pasted into whatever runs there."""

from __future__ import annotations

import json
import shlex

from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

LONGEST_URL = 3600.0
"""Seconds; a reflector that was not told otherwise takes no signed URL that is good for longer."""


class ManualLauncher(Launcher):
    """Says what to paste, then waits. The job is the user's own, and so is its end."""

    name = "manual"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        settings.refuse_others(self.name, "archive")
        if settings.archive is not None:
            raise Failure("--archive means nothing to the launcher `manual`: the job fetches the reflector's")
        self._lines: list[str] = []

    def describe(self) -> str:
        return "a job of yours"

    def submit(self, request: JobRequest) -> None:
        config = json.dumps(request.config(min(request.patience or LONGEST_URL, LONGEST_URL)))
        script = '"$d/agent.sh"' if request.archive_url else "agent.sh"
        # mktemp -d makes it private: the URL lets whoever reads it into the session.
        line = (
            "(d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT && "
            f"{_fetch(request)}"
            f'printf %s {shlex.quote(config)} > "$d/config.json" && '
            f'sh {script} --config "$d/config.json")'
        )
        bring = [] if request.archive_url else ["Bring agent.sh into the job; `medusa archive -o agent.sh` writes it."]
        self._lines = [*bring, "In the job, run this line:", "", line, ""]

    def instructions(self) -> list[str]:
        return self._lines

    def poll(self) -> JobState:
        return JobState(alive=True, words="start it by the line above")

    def log_tail(self) -> list[str]:
        return []

    def finish(self, patience: float, *, clean: bool) -> None:
        """It ends with its session."""

    def cancel(self) -> None:
        """It is not there, or the agent's own link ends it."""


def _fetch(request: JobRequest) -> str:
    """How the job gets the archive; nothing where no place is known to get it from."""
    if request.archive_url is None:
        return ""
    curl = "curl -fsSk" if request.insecure_tls else "curl -fsS"
    return f'{curl} {shlex.quote(request.archive_url)} -o "$d/agent.sh" && '
