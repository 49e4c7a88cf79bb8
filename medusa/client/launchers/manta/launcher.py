"""Jobs of a Manta, by its HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medusa.client.launchers.base import Settings
from medusa.client.launchers.polled import PolledLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.transports.dial import parse_url

if TYPE_CHECKING:
    from medusa.client.launchers.manta.job import MantaJob

WHO_ASKS = (401, 403)
"""Statuses of an account that is not believed, or may not."""


class MantaLauncher(PolledLauncher):
    """A map job on OBJECT, or a reduce job without one, that runs the agent."""

    name = "manta"
    system = "the Manta"
    job: MantaJob

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        from medusa.client.launchers.manta.api import MantaClient, MantaError  # slow to load
        from medusa.client.launchers.manta.job import MantaJob

        super().__init__(settings.tell)
        settings.refuse_others(self.name, "object", "wishes", "archive")
        if settings.url is None or settings.account is None:
            raise Failure("the launcher `manta` needs --url, --account and --key")
        if settings.archive is not None:
            raise Failure(
                "--archive means nothing to the launcher `manta`: publish the file by "
                "`medusa publish --archive FILE manta:~~/public/agent.sh`, and name that object by --agent-object"
            )
        self._error = MantaError
        try:
            api = MantaClient(settings.url, settings.account, settings.insecure_tls)
            self.job = MantaJob(api, ledger, settings.account.login, settings.wishes, settings.object)
        except MantaError as error:
            raise Failure(str(error)) from None
        self._account = settings.account
        self.front_door: str = settings.url if "://" in settings.url else "https://" + settings.url

    def describe(self) -> str:
        return f"Manta job {self.job.job_id}" if self.job.job_id else "Manta job"

    def create(self) -> str:
        """Returns the job's id, which the front door knows the session by."""
        try:
            return self.ask(self.job.create)
        except self._error as error:
            lines = [f"no job: {error}"]
            if error.status in WHO_ASKS:
                lines += self._account.to_check(parse_url(self.front_door).netloc)
            raise Failure("\n".join(lines)) from None

    def lost(self) -> str:
        job = self.job.job_id
        return "see what became of " + (f"job {job} by: mjob get {job}" if job else "the job by: mjob list")
