"""What the user asks of mlogin: one record, made from the command line and handed down to the launcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

AGENT_OBJECT = "/poseidon/public/medusa/agent.sh"
"""The Manta object in which Manta's own programs expect the agent's archive."""

DEFAULT_ESCAPE = b"~"


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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user asks of mlogin. A launcher uses some attributes and refuses the others by `refuse_others`.

    Attributes:
        command: what the shell runs; None for a login shell.
        escape: the escape character, None for none; DEFAULT_ESCAPE unless `escape_given`.
        quiet: write errors only.
        launcher: its name.
        reflector: base URL; None for the launcher's front door, or else for a reflector of mlogin's own.
        wait_timeout: seconds to wait for the agent; None for as long as the reflector waits, or, if jobs of the
            launcher queue, for as long as the job lives.
        archive: path of the agent's archive; None for the one that this installation carries.
        object: the object or host that the job is to run on; None for none.
        arguments: options for the job system's own program, unchanged.
        job: id of a job that already runs, in which to start the agent.
        session: id of a session whose agent is started elsewhere.
        manta: options of a Manta job.
        url: of the Manta.
        login, subuser, key: the account that signs requests, and its key as find_signer takes it; login is None if
            nothing is signed.
        account: the same with the key found, which mlogin does before it makes the launcher.
        insecure_tls: do not verify the certificates of reflector and Manta.
        tell: says a line to the user.
        timeouts: how long mlogin and the launcher wait for what.
    """

    command: str | None = None
    escape: bytes | None = DEFAULT_ESCAPE
    escape_given: bool = False
    quiet: bool = False
    launcher: str = "local"
    reflector: str | None = None
    wait_timeout: float | None = None
    archive: str | None = None
    object: str | None = None
    arguments: tuple[str, ...] = ()
    job: str | None = None
    session: str | None = None
    manta: MantaJobOptions = field(default_factory=MantaJobOptions)
    url: str | None = None
    login: str | None = None
    subuser: str | None = None
    key: str | None = None
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
