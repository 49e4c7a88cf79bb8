"""What mlogin asks of a job system: run the agent, say how the job is doing, and end it."""

from __future__ import annotations

import abc
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from medusa.client.ledger import Ledger
from medusa.client.settings import MantaJobOptions, Settings
from medusa.client.timeouts import DEFAULT_TIMEOUTS

__all__ = ["JobRequest", "JobState", "Launcher", "MantaJobOptions", "Settings"]


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What the agent must know.

    Attributes:
        session_url: makes a new URL at which the agent attaches; it stays valid for at least so many seconds.
        archive_url: where the reflector serves the agent's archive; None if that is not known.
        insecure_tls: do not verify the reflector's certificate.
        environ: further variables for the job.
        embedded: port of mlogin's own reflector, which only this machine can reach; None for any other reflector.
    """

    session_url: Callable[[float], str]
    archive_url: str | None = None
    insecure_tls: bool = False
    environ: dict[str, str] = field(default_factory=dict)
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
    def finish(self, grace: float, *, clean: bool) -> None:
        """Ends the job after a session: lets it end by itself for `grace` seconds, then cancels it.

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
