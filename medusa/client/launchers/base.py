"""What mlogin asks of a job system: run the agent, say how the job fares, and make an end of it."""

from __future__ import annotations

import abc
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

URL_LIFETIME = 300.0
"""Seconds that an agent's signed URL is good for; the original's."""

AGENT_OBJECT = "/poseidon/public/medusa/agent.sh"
"""Where Manta's programs look for the agent's archive."""


@dataclass(frozen=True)
class Wishes:
    """What a Manta job is to be given. Disk in GB, memory in MB; None for what the Manta gives by itself.

    Attributes:
        init: shell command run in the job before the agent.
        image: semver range of the job's image.
        assets: objects that the job finds under /assets.
        agent: the object that is the agent's archive.
    """

    disk: int | None = None
    memory: int | None = None
    init: str | None = None
    image: str | None = None
    assets: tuple[str, ...] = ()
    agent: str = AGENT_OBJECT


@dataclass(frozen=True)
class Settings:
    """What launchers may be told by the user.

    Attributes:
        archive: path of the agent archive; None for the one this installation carries.
        object: what, or where, the job is to work on; None for a job without input.
        arguments: for the job system's own program, as they stand.
        job: a job that runs already, to get into.
        session: id of a session whose agent is started elsewhere.
        wishes: for a Manta job.
        url: of the Manta.
        account: who signs requests.
        tell: says a line to the user.
        timeouts: how long the launcher waits for what.
    """

    archive: str | None = None
    object: str | None = None
    arguments: tuple[str, ...] = ()
    job: str | None = None
    session: str | None = None
    wishes: Wishes = field(default_factory=Wishes)
    url: str | None = None
    account: Account | None = None
    insecure_tls: bool = False
    tell: Callable[[str], None] = lambda text: None
    timeouts: Timeouts = DEFAULT_TIMEOUTS

    def refuse_others(self, launcher: str, *taken: str) -> None:
        """Raises Failure if something was asked for that is not among the attributes that this launcher heeds."""
        for name, options in _OPTIONS.items():
            if name not in taken and getattr(self, name) not in (None, (), Wishes()):
                raise Failure(f"{options} nothing to the launcher `{launcher}`")


_OPTIONS = {
    "archive": "--archive means",
    "object": "an OBJECT means",
    "arguments": "--launcher-arg and arguments after -- mean",
    "job": "--job means",
    "session": "--session means",
    "wishes": "--disk, --memory, --init, --image, --asset and --agent-object mean",
}
"""Attributes that not every launcher heeds -> the options that set them."""


@dataclass(frozen=True)
class JobRequest:
    """What the agent must know.

    Attributes:
        session_url: where the agent dials in: a new URL, which is good for at least so many seconds from now.
        archive_url: where the reflector serves the agent's archive; None where that is not known.
        insecure_tls: do not verify the reflector's certificate.
        environ: further variables for the job.
        patience: seconds that the user waits for the agent; None for as long as the reflector does.
        embedded: port of mlogin's own reflector, which listens on this machine's loopback only; None for any other.
    """

    session_url: Callable[[float], str]
    archive_url: str | None
    insecure_tls: bool = False
    environ: dict[str, str] = field(default_factory=dict)
    patience: float | None = None
    embedded: int | None = None

    def config(self, lifetime: float = URL_LIFETIME) -> dict[str, object]:
        """The agent's config file."""
        return {"signed_url": self.session_url(lifetime), "insecure_tls": self.insecure_tls}

    def variables(self, lifetime: float = URL_LIFETIME) -> dict[str, str]:
        """The same as variables of the agent's environment, and those that the job is to have besides."""
        insecure = {"MEDUSA_INSECURE_TLS": "true"} if self.insecure_tls else {}
        return {"MEDUSA_SIGNED_URL": self.session_url(lifetime), **insecure, **self.environ}


@dataclass(frozen=True)
class JobState:
    """How the job fares.

    Attributes:
        alive: an agent may still appear.
        words: for people, printable: `queued`, `running`, `ended with status 127`.
        ends_at: when the job system ends it, on time.monotonic's clock; None for never, or not known.
    """

    alive: bool
    words: str
    ends_at: float | None = None


class Launcher(abc.ABC):
    """One job. create() once, submit() once, poll() at will, then finish() once; as a context manager the last is
    cancel().

    The constructor checks what can be checked before anything is started, and raises Failure.

    Attributes:
        queues: its jobs may wait for hours until they run; the reflector's patience is no limit to that.
        front_door: where its sessions meet unless the user says otherwise; None for a reflector of mlogin's own.
    """

    name: ClassVar[str]
    queues: ClassVar[bool] = False
    front_door: str | None = None

    @abc.abstractmethod
    def __init__(self, settings: Settings, ledger: Ledger) -> None: ...

    @abc.abstractmethod
    def describe(self) -> str:
        """The job in a few printable words: `local job 4711`."""

    def create(self) -> str:
        """The id of the session that the job is to be met in. Raises Failure: there is no job to be had."""
        return str(uuid.uuid4())

    @abc.abstractmethod
    def submit(self, request: JobRequest) -> None:
        """Lets the agent start, now that the client has attached. Raises Failure, or lets poll() tell."""

    def instructions(self) -> list[str]:
        """After submit(), until the agent is there: lines that the user has not seen yet, of what to do now."""
        return []

    @abc.abstractmethod
    def poll(self) -> JobState:
        """The state as far as it is known, at once: a launcher that has to ask somebody does so elsewhere."""

    @abc.abstractmethod
    def log_tail(self) -> list[str]:
        """The last lines that the job wrote, printable."""

    def joined(self) -> None:  # noqa: B027 - most have nothing to do then
        """The agent is there."""

    @abc.abstractmethod
    def finish(self, patience: float, *, clean: bool) -> None:
        """After a session: gives the job `patience` seconds to end by itself, then cancels it.

        Args:
            clean: the agent has said how its session ended; else nobody knows what it does.
        """

    @abc.abstractmethod
    def cancel(self) -> None:
        """Ends the job if it runs, and removes what it left. Idempotent."""

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()
