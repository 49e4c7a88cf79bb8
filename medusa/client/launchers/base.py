"""What mlogin asks of a job system: run the agent, say how the job is doing, and end it."""

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

AGENT_OBJECT = "/poseidon/public/medusa/agent.sh"
"""The Manta object in which Manta's own programs expect the agent's archive."""


@dataclass(frozen=True)
class MantaJobOptions:
    """What the user asks of a Manta job. Disk in GB, memory in MB; None for the Manta's own default.

    Attributes:
        init: shell command that runs in the job before the agent.
        image: semver range of the job's image.
        assets: objects that the job finds below /assets.
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
    """What the user asks of a launcher. A launcher uses some attributes and refuses the others by `refuse_others`.

    Attributes:
        archive: path of the agent's archive; None for the one that this installation carries.
        object: the object or host that the job is to run on; None for none.
        arguments: options for the job system's own program, unchanged.
        job: id of a job that already runs, in which to start the agent.
        session: id of a session whose agent is started elsewhere.
        manta: options of a Manta job.
        url: of the Manta.
        account: signs requests.
        insecure_tls: do not verify the Manta's certificate.
        tell: says a line to the user.
        timeouts: how long the launcher waits for what.
    """

    archive: str | None = None
    object: str | None = None
    arguments: tuple[str, ...] = ()
    job: str | None = None
    session: str | None = None
    manta: MantaJobOptions = field(default_factory=MantaJobOptions)
    url: str | None = None
    account: Account | None = None
    insecure_tls: bool = False
    tell: Callable[[str], None] = lambda text: None
    timeouts: Timeouts = DEFAULT_TIMEOUTS

    def refuse_others(self, launcher: str, *taken: str) -> None:
        """Raises Failure if an attribute is set that `launcher` does not use.

        Args:
            taken: names of the attributes that it uses. Only those in `_OPTIONS` are checked.
        """
        for name, options in _OPTIONS.items():
            if name not in taken and getattr(self, name) not in (None, (), MantaJobOptions()):
                raise Failure(f"{options} nothing to the launcher `{launcher}`")


_OPTIONS = {
    "archive": "--archive means",
    "object": "an OBJECT means",
    "arguments": "--launcher-arg and arguments after -- mean",
    "job": "--job means",
    "session": "--session means",
    "manta": "--disk, --memory, --init, --image, --asset and --agent-object mean",
}
"""Attributes that not every launcher uses -> the options that set them, as the subject of a sentence."""


@dataclass(frozen=True)
class JobRequest:
    """What the agent must know.

    Attributes:
        session_url: makes a new URL at which the agent attaches; it stays valid for at least so many seconds.
        archive_url: where the reflector serves the agent's archive; None if that is not known.
        insecure_tls: do not verify the reflector's certificate.
        environ: further variables for the job.
        patience: seconds that the user waits for the agent; None for as long as the reflector waits.
        embedded: port of mlogin's own reflector, which only this machine can reach; None for any other reflector.
    """

    session_url: Callable[[float], str]
    archive_url: str | None
    insecure_tls: bool = False
    environ: dict[str, str] = field(default_factory=dict)
    patience: float | None = None
    embedded: int | None = None

    def config(self, lifetime: float = DEFAULT_TIMEOUTS.url_lifetime) -> dict[str, object]:
        """The agent's config file, with a URL that stays valid for `lifetime` seconds."""
        return {"signed_url": self.session_url(lifetime), "insecure_tls": self.insecure_tls}

    def variables(self, lifetime: float = DEFAULT_TIMEOUTS.url_lifetime) -> dict[str, str]:
        """The same as environment variables of the agent, and `environ`."""
        insecure = {"MEDUSA_INSECURE_TLS": "true"} if self.insecure_tls else {}
        return {"MEDUSA_SIGNED_URL": self.session_url(lifetime), **insecure, **self.environ}


@dataclass(frozen=True)
class JobState:
    """What is known of a job.

    Attributes:
        alive: an agent may still appear.
        words: what the job does, for people, printable: `queued`, `running`, `ended with status 127`.
        ends_at: when the job system will end it, on time.monotonic's clock; None for never, or not known.
        problem: why the launcher knows no more, or could not do what it should, printable; None if all is well.
    """

    alive: bool
    words: str
    ends_at: float | None = None
    problem: str | None = None

    def describe(self) -> str:
        """All of it in words: `queued; the cluster does not answer`."""
        return self.words if self.problem is None else f"{self.words}; {self.problem}"


class Launcher(abc.ABC):
    """One job. Call create() once, submit() once, poll() as often as you like, then finish() once.

    As a context manager it ends with cancel(). The constructor checks what it can before anything is started, and
    raises Failure.

    Attributes:
        name: what --launcher takes.
        queues: jobs may wait for hours until they run, longer than a reflector keeps a client that is alone.
        front_door: the reflector for its sessions unless the user names one; None for mlogin's own reflector.
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
        """The id of the session that the job's agent will join. Raises Failure: there can be no job."""
        return str(uuid.uuid4())

    @abc.abstractmethod
    def submit(self, request: JobRequest) -> None:
        """Lets the agent start; the client has attached. If that fails, raises Failure, or poll() reports it."""

    def instructions(self) -> list[str]:
        """After submit(), until the agent appears: what the user has to do now. Returns each line once."""
        return []

    @abc.abstractmethod
    def poll(self) -> JobState:
        """What is known of the job. Returns at once: a launcher that has to ask does so in a thread."""

    @abc.abstractmethod
    def log_tail(self) -> list[str]:
        """The last lines that the job wrote, printable."""

    def joined(self) -> None:  # noqa: B027 - most launchers do nothing
        """The agent has appeared."""

    @abc.abstractmethod
    def finish(self, patience: float, *, clean: bool) -> None:
        """Ends the job after a session: lets it end by itself for `patience` seconds, then cancels it.

        Args:
            clean: the agent has reported how its session ended; if not, it may still run.
        """

    @abc.abstractmethod
    def cancel(self) -> None:
        """Ends the job if it runs, and removes what it left. Idempotent."""

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()
