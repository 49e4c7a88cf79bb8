"""The command `medusa cp`: copies files to and from the job of a session that runs already."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import SimpleNamespace

from medusa.client.files.places import Copy, parse_copy
from medusa.client.outcome import OWN_ERROR
from medusa.client.settings import Settings
from medusa.commands.mlogin_options.process import add_keep_option
from medusa.commands.options.parser import VARIABLES
from medusa.commands.own_sessions.options import access, add_access_options, join_settings
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section

PROG = "medusa cp"

USAGE = f"{PROG} [-r] [-p] [OPTION...] SRC... DST"

DESCRIPTION = """Copy files into the job of one of your sessions, or from there. One side is SESSION:PATH. If the link
is lost, the copy waits and goes on. Errors name the file, and the others are copied all the same."""

SECTIONS = (
    Section(
        "SRC, DST",
        text="SESSION is a session's --name, its id, or the beginning of its id; `medusa ls` lists your sessions. "
        "PATH begins at the directory in which commands of `medusa exec` start; without PATH it is this directory, "
        "and ~ is your home directory there. A path here with a colon is written with a slash before the colon: "
        "./a:b. If DST is a directory, the copies go into it.",
    ),
    Section(
        "Examples",
        (
            ("medusa cp data.csv train:", "into the directory where commands start"),
            ("medusa cp -r train:runs/7 .", "a directory with all that it holds"),
            ("medusa cp -rp src train:/scratch/me", "with times and permissions"),
            ("medusa cp -r --resume data train:", "go on after an interruption, and leave out what is there"),
        ),
    ),
    Section(
        "Symbolic links",
        text="A link that you name is followed. In directories links are copied as links; with -L, what they point to "
        "is copied.",
    ),
    Section(
        "Files that were not copied whole",
        text="A file of more than 4 MiB is written to .NAME.MARK.part beside its place, and renamed at the end. If the "
        "copy is cut off, the next one goes on after what is there, as long as the file has not changed.",
    ),
    Section(VARIABLES),
    FILES,
    Section(
        "Exit status",
        (
            ("0", "all is copied"),
            ("1", "some files could not be copied"),
            ("130", "Control-C before it began"),
            ("254", "cut off; the copy is not complete"),
            ("255", "no session, or wrong usage"),
        ),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa cp` and returns its exit status. Raises SystemExit(255) for wrong usage.

    `argv`: the arguments, without the command's name. None for the arguments of this process.
    """
    settings, copy, given = parse(sys.argv[1:] if argv is None else argv)
    from medusa.client.aio.aio_session import AioSession  # these take long to import
    from medusa.client.files.program import Program
    from medusa.client.files.report import Wish
    from medusa.client.mlogin import run

    wish = Wish(recursive=given.recursive, preserve=given.preserve, follow=given.follow, resume=given.resume)
    program = Program(copy, wish, silent=given.quiet)
    return run(settings, lambda *parts: AioSession(*parts, program=program.run))


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, OWN_ERROR, usage=USAGE, sections=SECTIONS)
    group = parser.add_argument_group("What to copy")
    group.add_argument("paths", nargs="*", metavar="SRC... DST", help="what to copy, and where to; see below")
    flag = {"action": "store_true"}
    group.add_argument("-r", "--recursive", **flag, help="copy directories with all that they hold")
    group.add_argument("-p", "--preserve", **flag, help="keep times and permissions")
    group.add_argument("-L", "--follow", **flag, help="copy what symbolic links point to")
    group.add_argument("--resume", **flag, help="leave out files that are there, of the same size and not older")
    add_keep_option(group)
    group.add_argument("-q", "--quiet", **flag, help="do not show how far the copy is")
    add_access_options(parser)
    return parser


def parse(argv: Sequence[str]) -> tuple[Settings, Copy, SimpleNamespace]:
    """Returns the settings, what to copy, and all options, from the command line, the environment and the config file.

    Raises SystemExit(255) if an option is wrong.
    """
    parser, words = make_parser(), list(argv)
    given = parser.parse_args(words)
    found = access(parser, given, words)
    try:
        copy = parse_copy(given.paths)
    except ValueError as error:
        parser.error(str(error))
    settings = join_settings(
        PROG,
        copy.session.strip(),
        given.keep,
        found,
        pty=False,
        quiet=True,
    )
    return settings, copy, given
