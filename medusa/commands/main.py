"""`medusa COMMAND ...`: finds the command and calls it. It knows no command's options.

It imports little: `medusa reflector` must put gevent's socket, threading and ssl in place before any other module of
the process imports names from them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from medusa import __version__


class Command(NamedTuple):
    """Attributes:
    module: has `main(arguments) -> exit status`.
    """

    help: str
    module: str


COMMANDS = {
    "reflector": Command(
        "run a reflector: the server that joins a user's terminal to an agent", "medusa.commands.reflector.command"
    ),
    "sessions": Command("list, show and end the sessions of a reflector", "medusa.commands.sessions"),
    "archive": Command("write the agent archive that this installation carries", "medusa.commands.archive"),
    "publish": Command("put the agent's archive where jobs find it", "medusa.commands.publish"),
    "sign-url": Command("print a signed URL for the agent of a session", "medusa.commands.sign_url"),
}
"""The commands by their names."""

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa` with `argv` (without the program's name; default: the process's own); returns the exit status."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or [""]
    if name in ("-h", "--help", "help"):
        print(usage())
        return 0
    if name in ("-V", "--version"):
        print(f"medusa {__version__}")
        return 0
    if name not in COMMANDS:
        return _refuse(name)
    command = importlib.import_module(COMMANDS[name].module)
    return int(command.main(arguments) or 0)


def usage() -> str:
    """The help text: one line for each command."""
    width = max(map(len, COMMANDS))
    commands = (f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
    return "\n".join(
        [
            "usage: medusa COMMAND [OPTION...]",
            "       medusa COMMAND --help | --help | --version",
            "",
            "commands:",
            *commands,
            "",
            "A terminal in a job is a program of its own: mlogin --help",
        ]
    )


def _refuse(name: str) -> int:
    kind = "option" if name.startswith("-") else "command"
    complaint = f"unknown {kind} {name!r}" if name else "no command given"
    print(f"medusa: {complaint}\n\n{usage()}", file=sys.stderr)
    return USAGE_ERROR
