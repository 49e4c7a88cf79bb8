"""The command `medusa forward`: forwards connections between this machine and the job of a session that runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from medusa.client.outcome import OWN_ERROR
from medusa.client.settings import Settings
from medusa.commands.mlogin_options.forwards import add_forward_options, forwards
from medusa.commands.mlogin_options.process import add_keep_option
from medusa.commands.options.parser import VARIABLES
from medusa.commands.own_sessions.options import access, add_access_options, join_settings, session_given
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section

PROG = "medusa forward"

USAGE = f"{PROG} SESSION -L|-R|-D SPEC... [OPTION...]"

DESCRIPTION = """Forward connections between this machine and the job of one of your sessions, as ssh does, until
Control-C. Listeners take connections from their own machine only, unless BIND says otherwise. If the link is lost, the
connections stay open and go on over a new one."""

SECTIONS = (
    Section(
        "SESSION",
        text="A session's --name, its id, or the beginning of its id; `medusa ls` lists your sessions.",
    ),
    Section(
        "SPEC",
        (
            ("[BIND:]PORT:HOST:PORT", "-L, -R: a port to listen on, and where to connect to"),
            ("[BIND:]PORT:SOCKET", "the same, to a unix socket: a path with a / in it"),
            ("SOCKET:HOST:PORT", "listen on a unix socket, which only you can use"),
            ("SOCKET:SOCKET", "both"),
            ("[BIND:]PORT", "-D, -R: a SOCKS proxy (4, 4a and 5)"),
        ),
        "BIND is an address, or `*` for all; an IPv6 address stands in brackets. Port 0 is any free one.",
    ),
    Section(
        "Examples",
        (
            ("medusa forward train -L 8888:localhost:8888", "Jupyter of the job, at http://localhost:8888/"),
            ("medusa forward train -D 1080", "all that the job can reach, by SOCKS"),
            ("medusa forward train -R 5432:localhost:5432", "a database of this machine, for the job"),
            ("medusa forward train -W localhost:22", "standard input and output, as a ProxyCommand"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section(
        "Exit status",
        (
            ("0", "the connection of -W has ended"),
            ("130", "Control-C"),
            ("255", "nothing is forwarded, the session has ended, or wrong usage"),
        ),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa forward` and returns its exit status. Raises SystemExit(255) for wrong usage.

    `argv`: the arguments, without the command's name. None for the arguments of this process.
    """
    settings = parse(sys.argv[1:] if argv is None else argv)
    from medusa.client.mlogin import run  # takes long to import

    return run(settings)


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, OWN_ERROR, usage=USAGE, sections=SECTIONS)
    group = parser.add_argument_group("In which session")
    group.add_argument("session", metavar="SESSION", help="which session; see below")
    add_forward_options(parser, stdio=True)
    others = parser.add_argument_group("Others")
    add_keep_option(others)
    others.add_argument("-q", "--quiet", action="store_true", help="errors only")
    add_access_options(parser)
    return parser


def parse(argv: Sequence[str]) -> Settings:
    """Returns the settings, from the command line `argv`, the environment and the config file.

    Raises SystemExit(255) if an option is wrong.
    """
    parser, words = make_parser(), list(argv)
    given = parser.parse_args(words)
    found = access(parser, given, words)
    session = session_given(parser, given)
    if not (forwards(given) or given.stdio_forward):
        parser.error("forward what? Give -L, -R, -D or -W")
    return join_settings(
        PROG,
        session,
        given.keep,
        found,
        pty=False,
        forwards=forwards(given),
        no_command=True,
        stdio=given.stdio_forward,
        quiet=given.quiet or given.stdio_forward is not None,
    )
