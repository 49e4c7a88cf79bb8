"""The launcher `manual`: prints a command line that the user runs in a job, container or shell to start the agent."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable

from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.record import replace

MAX_URL_LIFETIME = 3600.0
"""Seconds that a signed URL is valid, at most. By default a reflector refuses URLs with a longer validity."""

HEADER_FILE = "medusa-headers"
"""The name of the file in the job into which the user puts the header fields for a proxy in front of the reflector."""

RENEWAL_MARGIN = 60.0
"""Seconds before a URL expires at which a new command line is printed.

So a user who copied the old line just before still has the time to paste it.
"""

HELP = """\
usage: mlogin manual: [OPTION...]
       mlogin --launcher manual [OPTION...]

Prints one line for you to paste into any job, container or CI step, and waits
until an agent comes from there. --wait-timeout SECONDS says how long. The job
has to reach the reflector, so name one by --reflector. There are no options
after --."""


class ManualLauncher(Launcher):
    """Prints a command line by which the user starts the job. The user also ends the job.

    instructions() returns this command line. Before the URL in it expires, instructions() returns a new command line.
    """

    name = "manual"
    target = options_of = ""

    def __init__(self, settings: Settings, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        settings.refuse_others(self.name, "archive")
        if settings.archive is not None:
            raise Failure("--archive means nothing to the launcher `manual`: the job fetches the reflector's")
        self._clock = clock
        self._wait_timeout = settings.wait_timeout
        self._request: JobRequest | None = None
        self._url = ""
        self._renew_at = 0.0

    @classmethod
    def help(cls) -> str:
        return HELP

    def describe(self) -> str:
        return "a job of yours"

    def submit(self, request: JobRequest) -> None:
        # The archive could not be fetched without the headers. So with headers the user brings it, as for raw TCP.
        self._request = replace(request, archive_url=None) if request.headers else request

    def instructions(self) -> list[str]:
        request, now = self._request, self._clock()
        if request is None or now < self._renew_at:
            return []
        lifetime = min(self._wait_timeout or MAX_URL_LIFETIME, MAX_URL_LIFETIME)
        previous, self._url = self._url, request.session_url(lifetime)
        self._renew_at = now + max(lifetime - RENEWAL_MARGIN, lifetime / 2)
        if self._wait_timeout is not None and lifetime >= self._wait_timeout:
            self._renew_at = now + lifetime  # mlogin stops waiting then, so no new line is needed earlier
        if self._url == previous:  # a URL without a signature does not expire, so the first line stays valid
            return []
        if previous:
            return ["That line is about to expire. From now on, run this one:", "", _line(request, self._url), ""]
        bring = [] if request.archive_url else ["Bring agent.sh into the job; `medusa archive -o agent.sh` writes it."]
        if request.headers:  # they are not shown, because they may be secrets
            bring.append(f"Put the headers into a file {HEADER_FILE} there, one a line: 'NAME: VALUE'.")
        return [*bring, "In the job, run this line:", "", _line(request, self._url), ""]

    def poll(self) -> JobState:
        return JobState(alive=True, words="start it by the line above")

    def log_tail(self) -> list[str]:
        return []

    def keep(self) -> bool:
        return True

    def finish(self, grace: float, *, clean: bool) -> None:
        """Does nothing: the agent ends by itself after the session."""

    def cancel(self) -> None:
        """Does nothing: an agent ends by itself when it loses its connection to the reflector."""


_IN_ANY_SHELL = re.compile(r"[A-Za-z0-9 _.,:;/?&=%@+~#|'\[\]{}()^*<>-]*")
"""Matches a text without characters that have a special meaning between double quotes in some shell."""


def _line(request: JobRequest, url: str) -> str:
    """Returns the command line that the user runs to start the agent.

    Usually it has the form `echo "LINE" | sh`, which works in every shell. LINE itself sets variables for one command,
    which the shells of the csh family cannot do. If some shell would change LINE between double quotes, returns LINE
    alone.
    """
    line = _line_for_sh(request, url)
    return f'echo "{line}" | sh' if _IN_ANY_SHELL.fullmatch(line) else line


def _line_for_sh(request: JobRequest, url: str) -> str:
    """Returns the command line for a POSIX shell.

    The line passes the URL in a variable, because the URL is secret and process lists show a program's arguments.
    """
    headers = f"MEDUSA_HEADER=@{HEADER_FILE} " if request.headers else ""
    variables = f"{'MEDUSA_INSECURE_TLS=1 ' * request.insecure_tls}{headers}MEDUSA_SIGNED_URL={_quoted(url)}"
    if request.archive_url is None:
        return f"{variables} sh agent.sh"
    curl = "curl -fsSk" if request.insecure_tls else "curl -fsS"
    return f"{curl} {shlex.quote(request.archive_url)} | {variables} sh"


def _quoted(url: str) -> str:
    """Returns `url` in single quotes, even if it needs no quotes.

    The user may replace `url` by another URL that needs the quotes. shlex.quote would leave them out.
    """
    return "'" + url.replace("'", "'\"'\"'") + "'"
