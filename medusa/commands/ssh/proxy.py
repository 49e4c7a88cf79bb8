"""The command `medusa ssh-proxy`: speaks SSH's server side, for ssh's ProxyCommand, and runs in a job what ssh asks."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Sequence

from medusa.client.outcome import OWN_ERROR, Failure
from medusa.client.settings import Settings
from medusa.commands.mlogin_options.process import add_keep_option
from medusa.commands.options import VARIABLES
from medusa.commands.own_sessions.options import access, add_access_options
from medusa.commands.ssh.joining import joining, session_of
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section

PROG = "medusa ssh-proxy"

USAGE = f"{PROG} SESSION [OPTION...]"

DESCRIPTION = """Speak the SSH protocol on standard input and output, as a server, and run what the ssh client asks for
in the job of one of your sessions: commands, terminals, sftp, forwarded ports and sockets. It is made for ssh's option
ProxyCommand; `medusa ssh-config` writes the lines for ~/.ssh/config. The job needs no sshd."""

SECTIONS = (
    Section(
        "SESSION",
        text="A session's --name, its id, or the beginning of its id, with or without .medusa; `medusa ls` lists your "
        "sessions.",
    ),
    Section(
        "Examples",
        (
            ("ssh -o ProxyCommand='medusa ssh-proxy train' train.medusa", "without a line in ~/.ssh/config"),
            ("medusa ssh-config --write", "then all of these work:"),
            ("ssh train.medusa", "a shell in the job of the session `train`"),
            ("scp out.csv train.medusa:", "also sftp, rsync, git, and editors that use ssh"),
            ("ssh -L 8888:localhost:8888 train.medusa", "a port of the job"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section(
        "Exit status",
        (("0", "the ssh client has gone"), ("254", "the session was cut off"), ("255", "an error, or wrong usage")),
    ),
)

IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
"""The keys of a terminal reach ssh and this program. ssh decides: if it ends, standard input ends here."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa ssh-proxy` and returns its exit status. Raises SystemExit(255) for wrong usage.

    `argv`: the arguments, without the command's name. None for the arguments of this process.
    """
    settings = parse(sys.argv[1:] if argv is None else argv)
    if os.isatty(0):
        print(f"{PROG}: ssh runs this program, by ProxyCommand: see `medusa ssh-config`", file=sys.stderr)
        return OWN_ERROR
    return serve(settings)


def serve(settings: Settings) -> int:
    """Joins the session of `settings`, and serves one ssh client. Returns the exit status."""
    from medusa.client.aio.aio_session import AioSession  # these take long to import
    from medusa.client.mlogin import run
    from medusa.client.ssh.host_key import host_key
    from medusa.client.ssh.proxy import serve as serve_ssh

    try:
        key = host_key()
    except Failure as failure:
        print("\n".join(f"{PROG}: {line}" for line in str(failure).splitlines()), file=sys.stderr)
        return OWN_ERROR

    program = functools.partial(serve_ssh, key=key.private)
    return run(settings, functools.partial(AioSession, program=program, ignored=IGNORED))


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, OWN_ERROR, usage=USAGE, sections=SECTIONS)
    group = parser.add_argument_group("What to reach")
    group.add_argument("session", metavar="SESSION", help="which session; see below")
    add_keep_option(group)
    group.add_argument("-q", "--quiet", action="store_true", help="errors only: no line about a lost link")
    add_access_options(parser)
    return parser


def parse(argv: Sequence[str]) -> Settings:
    """Returns the settings, from the command line `argv`, the environment and the config file.

    Raises SystemExit(255) if an option is wrong.
    """
    parser, words = make_parser(), list(argv)
    given = parser.parse_args(words)
    try:
        found = access(parser, given, words)
    except Failure as failure:
        parser.error(str(failure))
    session = session_of(given.session)
    if not session:
        parser.error("which session? `medusa ls` lists yours")
    return joining(PROG, session, found, given)
