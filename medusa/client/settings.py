"""The record of all options of mlogin. It is made from the command line and passed down to the launcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.client.places.specs import Forward, Place
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.record import field, record
from medusa.protocol.resume.offer import KEEP
from medusa.protocol.terminal import environment
from medusa.transports.dial.headers import NO_HEADERS, Headers

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

AGENT_OBJECT = "/poseidon/public/medusa/agent.sh"
"""The path of the Manta object in which Manta's own programs expect the agent's archive."""

DEFAULT_ESCAPE = b"~"


@record
class MantaJobOptions:
    """The user's options for a Manta job. Where an option is None, Manta uses its own default.

    Attributes:
        disk: disk space in GB.
        memory: memory in MB.
        init: shell command that runs in the job before the agent.
        image: semver range of the job's image.
        assets: paths of Manta objects that the job finds below /assets.
        agent: path of the Manta object that holds the agent's archive.
    """

    disk: int | None = None
    memory: int | None = None
    init: str | None = None
    image: str | None = None
    assets: tuple[str, ...] = ()
    agent: str = AGENT_OBJECT


@record(kw_only=True)
class Attachment:
    """Says how mlogin attaches to a terminal that already runs in the agent.

    Attributes:
        steal: True to take the terminal over: all other clients that use it are told to leave it.
        read_only: True to send no input.
        inside: the mark of the terminal in which this program runs: the agent does not attach it to the same one. "" if
            there is none.
    """

    steal: bool = False
    read_only: bool = False
    inside: str = ""


@record(kw_only=True)
class Settings:
    """The options of one run of mlogin. A launcher uses some of them, and refuses the others by `refuse_others`.

    Attributes:
        command: the command line for the shell on the job's side; None for an interactive shell.
        login_shell: True for the user's login shell on the job's side, False for a bash that reads no start-up files.
            None: the login shell if there is no `command`.
        pty: True for a terminal on the job's side, False for pipes. None: a terminal if standard input and standard
            output are both terminals.
        env: the names and values of variables for the command, which the user has written one by one. They override
            those of `send_env`.
        cwd: the directory in the job in which the command starts; "" for the agent's own choice.
        name: the name that the user gives the session; None if it has none.
        escape: the character that begins escapes such as `~.`; None to recognise no escapes.
        send_env: the variables to send to the session, as names and patterns (`chosen` in
            medusa/protocol/terminal/environment.py explains them).
        escape_given: True if the user has set `escape`. If not, `escape` is DEFAULT_ESCAPE.
        quiet: True to write only errors.
        no_input: True if standard input was replaced by /dev/null, because the user asked for it.
        launcher: the launcher's name.
        embedded: True if `reflector` was started by another mlogin of this user, on this machine.
        reflector: the reflector's base URL. If None, mlogin uses `front_door`, the launcher's default reflector. If the
            launcher has none, mlogin starts an embedded reflector.
        wait_timeout: seconds to wait for the agent. If it is None and jobs of this launcher can wait in a queue, mlogin
            waits as long as the job lives. If it is None and they cannot, mlogin waits as long as the reflector does.
        keep: for how many seconds the session is kept after its link is lost; 0: it ends with its link.
        archive: path of the agent's archive; None for the one in this package.
        object: the Manta object or the host that the job is to run on; None if the user named none.
        arguments: arguments that are passed unchanged to the job system's own program.
        job: id of a running job in which to start the agent.
        session: the whole id of the session to use, if it is known; else None. mlogin does not start the agent of this
            session.
        joins: True to join a session that runs already, and to start no job. `session` or `beginning` names the
            session. If both are None, mlogin takes the user's only session that no client uses.
        any_case: True if capital letters of the session's name may be small in `beginning`.
        attach: how to attach to the session's terminal; None to run a command.
        detach: True to start the command in a terminal that the agent keeps, and to leave it at once.
        forwards: the connections to forward during the session.
        no_command: True to run no command, and only to forward.
        stdio: what to connect standard input and output with, in place of a command; None for a command.
        beginning: the beginning of a session's id, if the user named a session. mlogin asks the reflector for the whole
            id, and puts it into `session`. If the user gave a whole id, `beginning` and `session` are both this id, and
            the reflector need not know it. If `joins`, `beginning` may also be a session's name.
        otherwise: words to add to the error if no session's id starts with `beginning`.
        manta: options of a Manta job.
        url: the URL of the Manta (an object store that also runs jobs).
        login: the name of the account that signs requests; None if requests are not signed.
        subuser: the name of that account's subuser that signs (a Manta account can have several users), or None.
        key: the account's private key, in a form that find_signer accepts. None for the keys that ssh would try.
        unsigned_first: True to sign only after the reflector has refused a request without a signature.
        account: the account of `login`, `subuser` and `key`. mlogin sets it before it makes the launcher.
        insecure_tls: True to accept any TLS certificate of the reflector and of Manta.
        headers: the header fields to send to the reflector in addition.
        shares_terminal: True if another program uses the terminal of standard error, and may have made it raw. Then
            only whole lines are shown, and each loss of the link is told by one.
        tells_links: False to say nothing about lost links.
        prog: the program that the messages name.
        tell: a function that shows a line to the user.
        timeouts: all timeouts and intervals.
    """

    command: str | None = None
    login_shell: bool | None = None
    pty: bool | None = None
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    name: str | None = None
    escape: bytes | None = DEFAULT_ESCAPE
    escape_given: bool = False
    send_env: tuple[str, ...] = environment.DEFAULT
    quiet: bool = False
    no_input: bool = False
    launcher: str = "local"
    embedded: bool = False
    reflector: str | None = None
    wait_timeout: float | None = None
    keep: int = KEEP
    archive: str | None = None
    object: str | None = None
    arguments: tuple[str, ...] = ()
    job: str | None = None
    session: str | None = None
    joins: bool = False
    any_case: bool = False
    attach: Attachment | None = None
    detach: bool = False
    forwards: tuple[Forward, ...] = ()
    no_command: bool = False
    stdio: Place | None = None
    beginning: str | None = None
    otherwise: str = ""
    manta: MantaJobOptions = field(default_factory=MantaJobOptions)
    url: str | None = None
    login: str | None = None
    subuser: str | None = None
    key: str | None = None
    unsigned_first: bool = False
    account: Account | None = None
    insecure_tls: bool = False
    headers: Headers = NO_HEADERS
    shares_terminal: bool = False
    tells_links: bool = True
    prog: str = "mlogin"
    tell: Callable[[str], None] = lambda text: None
    timeouts: Timeouts = DEFAULT_TIMEOUTS

    def refuse_others(self, launcher: str, *taken: str) -> None:
        """Raises Failure if the user set an option that `launcher` does not use.

        Args:
            launcher: the launcher's name, for the error.
            *taken: names of the attributes that the launcher uses. Only attributes in `_OPTIONS` are checked.
        """
        for name, options in _OPTIONS.items():
            if name not in taken and getattr(self, name) not in (None, (), MantaJobOptions()):
                advice = _ADVICE.get(name, "")
                raise Failure(f"{options} nothing to the launcher `{launcher}`{advice}")


_ADVICE = {
    "object": "; a command is given by -c",
    "arguments": "; a command is given by -c",
    "job": "; a job has a launcher, as in slurm:123",
    "manta": "; they are for jobs of a Manta",
}

_OPTIONS = {
    "archive": "--archive means",
    "object": "an OBJECT means",
    "arguments": "--launcher-arg and arguments after -- mean",
    "job": "--job means",
    "session": "--session means",
    "manta": "--disk, --memory, --init, --image, --asset and --agent-object mean",
}
"""Attributes of Settings that only some launchers use -> the start of a sentence about the options that set them."""
