"""The command `medusa config`: shows what the user's config file sets, opens it in an editor, or prints its path."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from medusa.commands.config.edit import NoEditor, create, edit
from medusa.commands.config.show import show
from medusa.commands.mlogin_options.groups import make_parser as mlogin_parser
from medusa.commands.options.parser import VARIABLES, OptionParser
from medusa.commands.user_config.parser import FILES, default_file
from medusa.help_text import Section
from medusa.protocol.printable import printable

PROG = "medusa config"
USAGE_ERROR = 2

DESCRIPTION = """Show what each option of mlogin is and where it came from; edit the config file; or print its path.
mlogin and commands of `medusa` read this file: ~/.config/medusa/config, in $XDG_CONFIG_HOME if that is set, or what
--config or MEDUSA_CONFIG names."""


SECTIONS = (
    Section(
        "Examples",
        (
            ("medusa config show", "what each option is and where it came from"),
            ("medusa config show gpu", "the same for `mlogin gpu`"),
            ("medusa config edit", "in $VISUAL or $EDITOR"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section("Exit status", (("0", "done"), ("1", "the file is wrong, or cannot be edited"), ("2", "wrong usage"))),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa config`. Returns the exit status: 0, or 1 if the file is wrong or cannot be edited.

    Raises SystemExit(2) for wrong usage.
    """
    parser = make_parser()
    given = parser.parse_args(argv)
    if given.profile is not None and given.verb != "show":
        parser.error(f"{given.verb} takes no PROFILE")
    file = os.path.expanduser(given.config) if given.config else default_file()
    if file is None:
        return _complain("there is no home directory to keep a config file in; name one by --config")
    if given.verb == "path":
        print(file)
        return 0
    if given.verb == "edit":
        return _edit(file)
    return _show(file, given.profile, named=bool(given.config))


def make_parser() -> OptionParser:
    """Returns the parser of the options of `medusa config`."""
    parser = OptionParser(PROG, DESCRIPTION, USAGE_ERROR, sections=SECTIONS)
    parser.add_argument("verb", choices=("show", "edit", "path"), help="what to do")
    parser.add_argument("profile", nargs="?", metavar="PROFILE", help="show: as mlogin PROFILE takes the options")
    parser.add_argument("--config", metavar="FILE", help="the config file")
    return parser


def _show(file: str, profile: str | None, *, named: bool) -> int:
    """Prints the options and returns 0. Exits with status 1 if the file is wrong.

    `named`: True if the user named the file. `profile`: None to show all profiles.
    """
    parser = mlogin_parser(PROG, 1)
    words = ["--config", file] if named or os.path.exists(file) else []
    print("\n".join(show(parser, words, profile, file)))
    return 0


def _edit(file: str) -> int:
    """Opens the file in an editor, then checks it and prints any error. Returns the exit status."""
    try:
        create(file)
        status = edit(file, os.environ)
    except FileExistsError:
        return _complain(f"{printable(file)}: Is a directory")
    except (NoEditor, OSError) as error:
        return _complain(f"{printable(file)}: {getattr(error, 'strerror', None) or error}")
    if status != 0:
        return _complain(f"the editor ended with status {status}")
    parser = mlogin_parser(PROG, 1)
    for profile in (None, *parser.profiles(["--config", file])):
        parser.profile = profile
        parser.parse_args(["--config", file])
    return 0


def _complain(message: str) -> int:
    print(f"{PROG}: {message}", file=sys.stderr)
    return 1
