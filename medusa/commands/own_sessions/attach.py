"""The command `medusa attach`: attaches the user's terminal to a terminal that already runs in a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from medusa.client.outcome import OWN_ERROR
from medusa.client.settings import DEFAULT_ESCAPE, Attachment, Settings
from medusa.commands.mlogin_options.forwards import add_forward_options, typed_forwards
from medusa.commands.mlogin_options.process import add_escape_option, add_keep_option
from medusa.commands.options.parser import VARIABLES
from medusa.commands.own_sessions.options import access, add_access_options, join_settings, session_given
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.channels.kinds import MAX_NAME
from medusa.protocol.terminal.environment import MARK

PROG = "medusa attach"

USAGE = f"{PROG} [SESSION] [OPTION...]"

DESCRIPTION = """Attach to the terminal of one of your sessions: one that you have detached from, one whose mlogin was
killed, or one that is in use elsewhere. You see its last screen, and go on as with mlogin. Several may be attached to
one terminal: all of them see the same, and it has the size of the one where something was typed last."""

SECTIONS = (
    Section(
        "SESSION",
        text="A session's --name, its id, or the beginning of its id; `medusa ls` lists your sessions. Without "
        "SESSION: the only one of them that is held, which means that nobody uses it.",
    ),
    Section(
        "Escapes",
        (
            ("~d", "detach: leave, and let the terminal run on"),
            ("~.", "disconnect; the terminal is ended, unless somebody else uses it or has detached from it"),
            ("~?", "list all escapes"),
        ),
        "They work at the start of a line. --escape changes the character or turns them off.",
    ),
    Section(
        "Examples",
        (
            ("medusa attach", "the session that you have left"),
            ("medusa attach train --steal", "take it over from another terminal, which is told so"),
            ("medusa attach train --read-only", "only watch"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section(
        "Exit status",
        (
            ("that of the command", "128+N if signal N ended it"),
            ("0", "you have detached"),
            ("254", "cut off or taken over, and the outcome is unknown"),
            ("255", "not attached, or wrong usage"),
        ),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa attach` and returns its exit status. Raises SystemExit(255) for wrong usage.

    `argv`: the arguments, without the command's name. None for the arguments of this process.
    """
    settings = parse(sys.argv[1:] if argv is None else argv)
    from medusa.client.mlogin import run  # takes long to import

    return run(settings)


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, OWN_ERROR, usage=USAGE, sections=SECTIONS)
    group = parser.add_argument_group("What to attach to")
    group.add_argument("session", nargs="?", metavar="SESSION", help="which session; see below")
    group.add_argument("--steal", action="store_true", help="take the terminal over: all others have to leave it")
    group.add_argument("--read-only", action="store_true", help="only watch: what you type is not sent")
    add_escape_option(group)
    add_keep_option(group)
    group.add_argument("-q", "--quiet", action="store_true", help="errors only")
    add_forward_options(parser)
    add_access_options(parser)
    return parser


def parse(argv: Sequence[str]) -> Settings:
    """Returns the settings, from the command line `argv`, the environment and the config file.

    Raises SystemExit(255) if an option is wrong.
    """
    parser, words = make_parser(), list(argv)
    given = parser.parse_args(words)
    found = access(parser, given, words)
    session = None if given.session is None else session_given(parser, given)
    return join_settings(
        PROG,
        session,
        given.keep,
        found,
        attach=Attachment(steal=given.steal, read_only=given.read_only, inside=os.environ.get(MARK, "")[:MAX_NAME]),
        pty=True,
        escape=DEFAULT_ESCAPE if given.escape is None else given.escape[0],
        escape_given=given.escape is not None,
        quiet=given.quiet,
        forwards=typed_forwards(given, parser.typed(words)),
    )
