"""The command `medusa ssh-proxy`: speaks SSH's server side, for ssh's ProxyCommand, and runs in a job what ssh asks."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

from medusa.client.outcome import OWN_ERROR, Failure, Interrupted
from medusa.client.settings import Settings
from medusa.commands.mlogin_options.process import add_keep_option
from medusa.commands.options.parser import VARIABLES
from medusa.commands.own_sessions.options import WHICH_SESSION, Access, access, add_access_options
from medusa.commands.ssh.joining import SUFFIX, add_cwd_option, joining, repeated, session_of
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.record import replace

PROG = "medusa ssh-proxy"

USAGE = f"{PROG} SESSION [OPTION...]\n       {PROG} --profile NAME [OPTION...]"

DESCRIPTION = """Speak the SSH protocol on standard input and output, as a server, and run what the ssh client asks for
in the job of one of your sessions: commands, terminals, sftp, forwarded ports and sockets. It is made for ssh's option
ProxyCommand; `medusa ssh-config` writes the lines for ~/.ssh/config. The job needs no sshd."""

SECTIONS = (
    Section(
        "SESSION",
        text="A session's --name, its id, or the beginning of its id, with or without .medusa; `medusa ls` lists your "
        "sessions. With --profile alone: the session that has the name of the profile. If there is none, the profile's "
        "job is started, as by `mlogin -d`, and goes on after the connection.",
    ),
    Section(
        "Examples",
        (
            ("ssh -o ProxyCommand='medusa ssh-proxy train' train.medusa", "without a line in ~/.ssh/config"),
            ("medusa ssh-config --write", "then all of these work:"),
            ("ssh train.medusa", "a shell in the job of the session `train`"),
            ("scp out.csv train.medusa:", "also sftp, rsync, git, and editors that use ssh"),
            ("ssh -L 8888:localhost:8888 train.medusa", "a port of the job"),
            ("ssh gpu.medusa", "a profile's job, after `medusa ssh-config --profile gpu --write`"),
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
    try:
        settings = parse(sys.argv[1:] if argv is None else argv)
        return serve(settings)
    except Failure as failure:
        _tell(str(failure))
    except Interrupted as interrupted:
        _tell(str(interrupted))
        return interrupted.status
    return OWN_ERROR


def serve(settings: Settings) -> int:
    """Joins the session of `settings`, and serves one ssh client. Returns the exit status. Raises Failure."""
    from medusa.client.aio.aio_session import AioSession  # these take long to import
    from medusa.client.mlogin import run
    from medusa.client.ssh.host_key import host_key

    with _no_library_found():
        from medusa.client.ssh.proxy import serve as serve_ssh
    program = functools.partial(serve_ssh, key=host_key().private, cwd=settings.cwd)
    return run(settings, functools.partial(AioSession, program=program, ignored=IGNORED))


@contextlib.contextmanager
def _no_library_found() -> Iterator[None]:
    """Context manager: ctypes finds no library.

    asyncssh looks for two, for algorithms that this connection does not need. It runs ldconfig, gcc and ld for that,
    some times, which takes a tenth of a second.
    """
    from ctypes import util

    find, util.find_library = util.find_library, lambda name: None
    try:
        yield
    finally:
        util.find_library = find


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, OWN_ERROR, own=("cwd",), usage=USAGE, sections=SECTIONS)
    group = parser.add_argument_group("What to reach")
    group.add_argument("session", nargs="?", metavar="SESSION", help="which session; see below")
    add_cwd_option(group)
    add_keep_option(group)
    group.add_argument("-q", "--quiet", action="store_true", help="errors only: no line about a lost link")
    add_access_options(parser)
    return parser


def parse(argv: Sequence[str]) -> Settings:
    """Returns the settings, from the command line `argv`, the environment and the config file.

    Starts a session if a profile needs one. Raises Failure and Interrupted, and SystemExit(255) if an option is wrong.
    """
    parser, words = make_parser(), list(argv)
    given = parser.parse_args(words)
    found = access(parser, given, words)
    session = session_of(given.session or "")
    if not session and parser.profile is None:
        parser.error(WHICH_SESSION)
    if os.isatty(0):
        raise Failure("ssh runs this program, by ProxyCommand: see `medusa ssh-config`")
    if not session:
        session = _of_profile(parser, given, words, found)
    settings = joining(PROG, session, found, given)
    # ssh makes the letters of a host's name small before it passes the name on, by %h.
    any_case = (given.session or "").endswith(SUFFIX)
    return replace(settings, shares_terminal=True, tells_links=not given.quiet, any_case=any_case)


def _of_profile(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str], found: Access) -> str:
    from medusa.commands.ssh.on_demand import session_for  # takes long to import

    profile = parser.profile or ""
    options = list(repeated(parser, given, words))
    tell = (lambda words: None) if given.quiet else _tell
    return session_for(profile, profile, found, options, tell)


def _tell(words: str) -> None:
    print("\n".join(f"{PROG}: {line}" for line in words.splitlines()), file=sys.stderr)
