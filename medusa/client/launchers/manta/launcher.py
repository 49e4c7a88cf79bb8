"""The launcher `manta`: runs the agent as a job in a Manta, through the Manta's HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medusa.client.launchers.base import Settings
from medusa.client.launchers.polled import PolledLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.transports.dial import parse_url

if TYPE_CHECKING:
    from medusa.client.launchers.manta.job import MantaJob

_NOT_ALLOWED = (401, 403)
"""HTTP statuses which mean that the Manta does not know the account or its key, or that it may not create jobs."""

HELP = """\
usage: mlogin manta:[OBJECT] [OPTION...]
       mlogin --launcher manta [OPTION...] [OBJECT]

Runs the session in a job of a Manta: on OBJECT, as /LOGIN/stor/FILE, or on no
object. --url, --account and --key, or MANTA_URL, MANTA_USER and MANTA_KEY_ID,
name the Manta, your account and its key.

  --disk GB, --memory MB  of the job
  --init COMMAND          run in the job before the session
  --image SEMVER          which image the job may have
  --asset OBJECT          put it below /assets; may be repeated
  --agent-object OBJECT   the agent's archive in the Manta

There are no options after --.

  mlogin manta:/alice/stor/core.1234 --memory 4096"""


class MantaLauncher(PolledLauncher):
    """Runs the agent as a job in a Manta. With an OBJECT, the job is a map job on it. Otherwise it is a reduce job."""

    name = "manta"
    options_of = ""
    system = "the Manta"
    job: MantaJob

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        from medusa.client.launchers.manta.api import MantaClient  # slow to load
        from medusa.client.launchers.manta.errors import MantaError
        from medusa.client.launchers.manta.job import MantaJob

        super().__init__(settings.tell, settings.timeouts)
        settings.refuse_others(self.name, "object", "manta", "archive")
        if settings.url is None or settings.account is None:
            raise Failure("the launcher `manta` needs --url, --account and --key")
        if settings.archive is not None:
            raise Failure(
                "--archive means nothing to the launcher `manta`: publish the file by "
                "`medusa publish --archive FILE manta:~~/public/agent.sh`, and name that object by --agent-object"
            )
        self._error = MantaError
        try:
            api = MantaClient(settings.url, settings.account, settings.insecure_tls, settings.timeouts.manta)
            login, timeouts = settings.account.login, settings.timeouts
            self.job = MantaJob(api, ledger, login, settings.manta, settings.object, timeouts)
        except MantaError as error:
            raise Failure(str(error)) from None
        self._account = settings.account
        self.front_door: str = settings.url if "://" in settings.url else "https://" + settings.url

    @classmethod
    def help(cls) -> str:
        return HELP

    def describe(self) -> str:
        return f"Manta job {self.job.job_id}" if self.job.job_id else "Manta job"

    def create(self) -> str:
        """Creates the job. Returns its id, which is also the id of the session."""
        try:
            return self._create()
        except self._error as error:
            lines = [f"no job: {error}"]
            if error.status in _NOT_ALLOWED:
                lines += self._account.to_check(parse_url(self.front_door).netloc)
            raise Failure("\n".join(lines)) from None

    def _create(self) -> str:
        """Creates the job and returns its id. Signs with the first of the account's keys that the Manta accepts.

        Raises MantaError if no key is accepted, or if a request fails.
        """
        while True:
            try:
                job = self.ask(self.job.create)
            except self._error as error:
                if error.status not in _NOT_ALLOWED or not self._account.another_key():
                    raise
            else:
                self._account.accepted()
                return job

    def lost(self) -> str:
        job = self.job.job_id
        return "see what became of " + (f"job {job} by: mjob get {job}" if job else "the job by: mjob list")
