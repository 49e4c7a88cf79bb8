"""The interface between mlogin and a job system: start a job with the agent, report its state, and end it."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from medusa.client.ledger import Ledger
from medusa.client.settings import MantaJobOptions, Settings
from medusa.client.timeouts import DEFAULT_TIMEOUTS
from medusa.protocol.record import field, record
from medusa.transports.dial.headers import to_variable

__all__ = ["JobRequest", "JobState", "Launcher", "MantaJobOptions", "Settings"]


@record(kw_only=True)
class JobRequest:
    """The data that a launcher needs to start a job whose agent attaches to the session.

    Attributes:
        session_url: a function that returns a new URL at which the agent attaches. Its argument: how many seconds the
            URL must stay valid at least.
        archive_url: the URL at which the reflector serves the agent's archive; None if it is unknown.
        insecure_tls: True if the agent must not verify the reflector's certificate.
        environ: more environment variables for the job.
        headers: more header fields that the agent sends to the reflector: names and values.
        guest: True if the job belongs to another user or program. Then the agent does not end the daemons that the
            session's programs start there.
        embedded: the port of mlogin's own reflector, which listens on this machine's loopback only. None if mlogin uses
            any other reflector.
    """

    session_url: Callable[[float], str]
    archive_url: str | None = None
    insecure_tls: bool = False
    environ: dict[str, str] = field(default_factory=dict)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    guest: bool = False
    embedded: int | None = None

    def config(self, lifetime: float = DEFAULT_TIMEOUTS.url_lifetime) -> dict[str, object]:
        """Returns the content of the agent's config file. The URL in it stays valid for `lifetime` seconds."""
        headers = {"headers": ["%s: %s" % pair for pair in self.headers]} if self.headers else {}
        guest = {"guest": True} if self.guest else {}
        return {"signed_url": self.session_url(lifetime), "insecure_tls": self.insecure_tls, **headers, **guest}

    def variables(self, lifetime: float = DEFAULT_TIMEOUTS.url_lifetime) -> dict[str, str]:
        """Returns environment variables for the agent: the same settings as in `config`, and all of `environ`."""
        insecure = {"MEDUSA_INSECURE_TLS": "true"} if self.insecure_tls else {}
        headers = {"MEDUSA_HEADER": to_variable(self.headers)} if self.headers else {}
        guest = {"MEDUSA_GUEST": "true"} if self.guest else {}
        return {"MEDUSA_SIGNED_URL": self.session_url(lifetime), **insecure, **headers, **guest, **self.environ}


@record
class JobState:
    """The state of a job, as far as its launcher knows it. All texts are for the user, and printable.

    Attributes:
        alive: True if the agent runs, or may still start to run.
        words: the state in words, such as `queued`, `running` or `ended with status 127`.
        ends_at: the time at which the job system will end the job, as a time of time.monotonic(). None if never, or if
            it is unknown.
        problem: why the launcher cannot learn the state, or cannot do its work; None if there is no problem.
        halted: True if the job system has suspended the job: its processes are stopped, and may continue later.
    """

    alive: bool
    words: str
    ends_at: float | None = None
    problem: str | None = None
    halted: bool = False

    def describe(self) -> str:
        """Returns the state and the problem in words, such as `queued; the cluster does not answer`."""
        return self.words if self.problem is None else f"{self.words}; {self.problem}"


def new_id() -> str:
    """Returns a new random id: a UUID of version 4. (The module uuid takes long to import.)"""
    data = bytearray(os.urandom(16))
    data[6], data[8] = data[6] & 0x0F | 0x40, data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class Launcher(abc.ABC):
    """Starts and ends one job that runs the agent. This is the base class; each job system has a subclass.

    mlogin calls prepare(), create() and submit() once, in this order, poll() at any time, and finish() once. It uses
    the launcher in a `with` block, which calls cancel() at its end. The constructor starts nothing. It raises Failure
    if no job can be started with these settings.

    Attributes:
        name: the name for --launcher.
        target: the setting that gets the WORD of `mlogin NAME:WORD`: `object` or `job`. Empty if no WORD may follow the
            name.
        options_of: the program whose options may follow `--`, for messages. Empty if nothing may follow.
        queues: True if a job may wait in a queue for hours. Then mlogin attaches again each time that the reflector
            ends its connection, because a reflector does not let a client wait for so long.
        sees_end: True if the agent has certainly ended when poll() says that the job is not alive. False if perhaps
            only the connection to the job has ended.
        front_door: the URL of the reflector to use if the user names none. None: mlogin starts its own reflector.
    """

    name: ClassVar[str]
    target: ClassVar[str] = "object"
    options_of: ClassVar[str] = "the launcher"
    queues: ClassVar[bool] = False
    sees_end: ClassVar[bool] = False
    front_door: str | None = None

    @abc.abstractmethod
    def __init__(self, settings: Settings, ledger: Ledger) -> None: ...

    @classmethod
    def help(cls) -> str:
        """Returns the help text that `mlogin --launcher NAME --help` shows.

        The text tells which TARGET the launcher takes, and which options may follow `--`. By default it is a line of
        usage and the docstring of the class.
        """
        word = {"object": "[OBJECT]", "job": "[JOB]"}.get(cls.target, "")
        import inspect  # takes long to import

        options = f" [-- OPTION OF {cls.options_of.upper()}...]" if cls.options_of else ""
        return f"usage: mlogin {cls.name}:{word} [OPTION...]{options}\n\n{inspect.getdoc(cls) or ''}"

    @abc.abstractmethod
    def describe(self) -> str:
        """Returns the name of the job in a few printable words, such as `local job 4711`."""

    def create(self) -> str:
        """Creates the job if it must exist before the session. Returns the id of the session that its agent will join.

        By default, creates nothing and returns a new id. Raises Failure if the job cannot be created.
        """
        return new_id()

    @property
    def asks(self) -> bool:
        """True while a program that the launcher has started may ask the user a question on the terminal.

        mlogin reads this after submit(). While it is True, mlogin does not read the terminal, so the program gets the
        answer.
        """
        return False

    def prepare(self, environ: Mapping[str, str]) -> None:  # noqa: B027 - most launchers do nothing
        """Begins to start the job, so that it starts while mlogin attaches. By default, does nothing.

        mlogin calls this once, before create(). The agent must not dial before submit(). If mlogin calls cancel()
        instead of submit(), nothing has happened in the job.

        `environ`: the same variables for the job as in the request for submit(). Raises Failure like submit().
        """

    @abc.abstractmethod
    def submit(self, request: JobRequest) -> None:
        """Starts the job. If create() has already created the job, lets it run.

        mlogin calls this after it has attached to the session.

        If the start fails, this method raises Failure, or poll() reports the failure later.
        """

    def instructions(self) -> list[str]:
        """Returns new lines that tell the user what to do now.

        mlogin calls this repeatedly after submit(), until the agent appears. A call returns only lines that no earlier
        call has returned.
        """
        return []

    @abc.abstractmethod
    def poll(self) -> JobState:
        """Returns the state of the job. Never blocks: a launcher that has to ask a job system does so in a thread."""

    def over(self) -> bool:
        """Returns True if the job has certainly ended, so that its agent cannot come back. Never blocks."""
        return self.sees_end and not self.poll().alive

    @abc.abstractmethod
    def log_tail(self) -> list[str]:
        """Returns the last lines of the job's log, printable. mlogin shows them if no agent appears."""

    def joined(self) -> None:  # noqa: B027 - most launchers do nothing
        """Tells the launcher that the agent has attached. mlogin calls this once. By default it does nothing."""

    def keep(self) -> bool:
        """Lets the job go on if this mlogin dies. Returns False if jobs of this launcher cannot go on without mlogin.

        Before this call, the guard process ends the job if mlogin dies. mlogin calls this once, after it is connected
        to an agent that keeps the session for a while. `finish` and `cancel` still end the job. If the user detaches,
        mlogin calls neither.
        """
        return False

    @abc.abstractmethod
    def finish(self, grace: float, *, clean: bool) -> None:
        """Ends the job after its session. First waits up to `grace` seconds for the job to end by itself.

        `clean`: True if the agent has reported the session's end, so that the job ends by itself. If False, the agent
        may still run.
        """

    @abc.abstractmethod
    def cancel(self) -> None:
        """Ends the job if it is alive, and removes its files and other traces. May be called again."""

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()
