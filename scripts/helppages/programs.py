"""The programs, and the man pages on which they are described."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from agent.__main__ import make_parser as agent_parser
from agent.wrap.options import make_parser as wrap_parser
from medusa.commands.main import COMMANDS
from medusa.commands.main import SECTIONS as MEDUSA_SECTIONS
from medusa.commands.mlogin_options.groups import make_parser as mlogin_parser
from medusa.help_text import HelpParser, Section


class Page(NamedTuple):
    """A man page.

    Attributes:
        name: the name of the page.
        section: the section of the manual: 1 for users' programs, 8 for those of administrators.
        summary: what the program is for, in a few words.
        parser: the program's own options.
        commands: the commands of the program that are described on this page.
    """

    name: str
    section: int
    summary: str
    parser: HelpParser
    commands: dict[str, HelpParser]


REFLECTOR = "reflector"
"""The command of medusa that has a page of its own."""


def command_parser(name: str) -> HelpParser:
    """Returns the parser of a command of `medusa`."""
    parser: HelpParser = importlib.import_module(COMMANDS[name].module).make_parser()
    return parser


def medusa_parser() -> HelpParser:
    """Returns a parser for `medusa` itself, whose first word is the name of a command."""
    text = "Lists and uses your sessions, and manages what mlogin(1) needs: reflectors, and the agent's archive."
    commands = Section(
        "Commands",
        [(name, command.help) for name, command in COMMANDS.items()],
        "medusa-reflector(8) describes `reflector`.",
    )
    parser = HelpParser("medusa", "medusa COMMAND [OPTION...]", text, sections=[commands, *MEDUSA_SECTIONS])
    parser.add_argument("--version", action="version", help="show the version")
    return parser


def pages() -> list[Page]:
    """Returns all man pages."""
    commands = {name: command_parser(name) for name in COMMANDS}
    reflector = commands.pop(REFLECTOR)
    return [
        Page("mlogin", 1, "a terminal in a batch job", mlogin_parser(), {}),
        Page("medusa", 1, "tools for terminals in batch jobs", medusa_parser(), commands),
        Page("medusa-reflector", 8, "join users' terminals to agents in jobs", reflector, {}),
        Page("medusa-agent", 1, "the program in the job: agent.sh", agent_parser(), {"wrap": wrap_parser()}),
    ]
