"""What mlogin asks of a job system: run the agent, say how the job fares, and make an end of it."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import ClassVar

from medusa.client.ledger import Ledger


@dataclass(frozen=True)
class Settings:
    """What launchers may be told by the user.

    Attributes:
        archive: path of the agent archive; None for the one this installation carries.
        object: what the job is to work on; None for a job without input.
    """

    archive: str | None = None
    object: str | None = None


@dataclass(frozen=True)
class JobRequest:
    """What the agent must know.

    Attributes:
        session_url: where the agent dials in.
        archive_url: where the reflector serves the agent's archive.
        insecure_tls: do not verify the reflector's certificate.
        environ: further variables for the job.
    """

    session_url: str
    archive_url: str
    insecure_tls: bool = False
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobState:
    """How the job fares.

    Attributes:
        alive: an agent may still appear.
        words: for people, printable: `queued`, `running`, `ended with status 127`.
    """

    alive: bool
    words: str


class Launcher(abc.ABC):
    """One job. submit() once, poll() at will, then finish() once; as a context manager the last is cancel().

    The constructor checks what can be checked before anything is started, and raises Failure.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def __init__(self, settings: Settings, ledger: Ledger) -> None: ...

    @abc.abstractmethod
    def describe(self) -> str:
        """The job in a few printable words: `local job 4711`."""

    @abc.abstractmethod
    def submit(self, request: JobRequest) -> None:
        """Starts the job. Raises Failure when there is none to be had."""

    def instructions(self) -> list[str]:
        """After submit(): what the user has to do now, as lines."""
        return []

    @abc.abstractmethod
    def poll(self) -> JobState:
        """The state as far as it is known, at once: a launcher that has to ask somebody does so elsewhere."""

    @abc.abstractmethod
    def log_tail(self) -> list[str]:
        """The last lines that the job wrote, printable."""

    @abc.abstractmethod
    def finish(self, patience: float) -> None:
        """After a session: gives the job `patience` seconds to end by itself, then cancels it."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Ends the job if it runs, and removes what it left. Idempotent."""

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()
