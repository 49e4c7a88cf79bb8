"""The command `medusa kill`: ends one of the user's own sessions."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from medusa.client.outcome import Failure
from medusa.client.queries import local
from medusa.commands.options.parser import VARIABLES
from medusa.commands.own_sessions.options import Access, access, add_access_options, session_given
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.printable import printable

PROG = "medusa kill"
USAGE_ERROR = 2

DESCRIPTION = """End one of your sessions, with all that runs in it: its terminals, its commands, and the job if nothing
else holds it. Those who use it are told."""

SECTIONS = (
    Section(
        "SESSION",
        text="A session's --name, its id, or the beginning of its id; `medusa ls` lists your sessions.",
    ),
    Section(
        "Examples",
        (
            ("medusa kill train", "the session `train`"),
            ("medusa kill 5d3e", "the one whose id begins with 5d3e"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section("Exit status", (("0", "done"), ("1", "not done"), ("2", "wrong usage"))),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa kill`. Returns the exit status: 0, or 1 if the session was not ended.

    Raises SystemExit(2) for wrong usage.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    parser = make_parser()
    given = parser.parse_args(words)
    way = access(parser, given, words)
    session = session_given(parser, given)
    try:
        print(f"killed {printable(_kill(session, way))}")
    except Failure as failure:
        print("\n".join(f"{PROG}: {line}" for line in str(failure).splitlines()), file=sys.stderr)
        return 1
    return 0


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, USAGE_ERROR, sections=SECTIONS)
    group = parser.add_argument_group("What to end")
    group.add_argument("session", metavar="SESSION", help="which session; see below")
    add_access_options(parser)
    return parser


def _kill(session: str, way: Access) -> str:
    """Ends a session and returns its id. Raises Failure.

    `session`: the name or the id of the session, or the beginning of the id.
    """
    from medusa.client.queries.ending import end  # takes long to import
    from medusa.client.queries.joining import find_own

    here = local.sessions()
    if way.reflector is None:
        return end(find_own(session, here, None), None)
    from medusa.commands.own_sessions.asking import asked

    api, login, find_account = asked(way)
    return end(find_own(session, here, api, login=login, find_account=find_account), api, find_account)
