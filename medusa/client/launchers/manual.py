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
        settings.refuse_mantas(self.name)
        if settings.archive is not None:
            raise Failure("--archive means nothing to the launcher `manual`: the job fetches the reflector's")
        self._line = ""

    def describe(self) -> str:
        return "a job of yours"

    def submit(self, request: JobRequest) -> None:
        config = json.dumps(request.config(min(request.patience or LONGEST_URL, LONGEST_URL)))
        curl = "curl -fsSk" if request.insecure_tls else "curl -fsS"
        # mktemp -d makes it private: the URL lets whoever reads it into the session.
        self._line = (
            "(d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT && "
            f'{curl} {shlex.quote(request.archive_url)} -o "$d/agent.sh" && '
            f'printf %s {shlex.quote(config)} > "$d/config.json" && '
            'sh "$d/agent.sh" --config "$d/config.json")'
        )

    def instructions(self) -> list[str]:
        return ["In the job, run this line:", "", self._line, ""]

    def poll(self) -> JobState:
        return JobState(alive=True, words="start it by the line above")

    def log_tail(self) -> list[str]:
        return []

    def finish(self, patience: float, *, clean: bool) -> None:
        """It ends with its session."""

    def cancel(self) -> None:
        """It is not there, or the agent's own link ends it."""
