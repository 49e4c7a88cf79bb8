"""The program `medusa COMMAND ...`: finds the command's module and calls it. Each command parses its own options.

This module imports little. `medusa reflector` must let gevent patch socket, threading and ssl first, before any other
module imports names from them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from medusa import __version__
from medusa.commands.process.core_dumps import forbid_core_dump
from medusa.commands.process.streams import checked_streams
from medusa.help_text import Section, render, show, width
from medusa.option_types import did_you_mean


class Command(NamedTuple):
    """A command of `medusa`.

    Attributes:
        help: the command's line in the help text.
        module: the name of the module whose function `main(arguments)` runs the command and returns the exit status.
    """

    help: str
    module: str


COMMANDS = {
    "reflector": Command(
        "run a reflector: the server that joins a user's terminal to an agent", "medusa.commands.reflector.command"
    ),
    "sessions": Command("list, show and end the sessions of a reflector", "medusa.commands.sessions"),
    "ls": Command("list your own sessions", "medusa.commands.own_sessions.listing"),
    "exec": Command("run a command in the job of one of your sessions", "medusa.commands.own_sessions.execute"),
    "attach": Command("attach to a terminal of one of your sessions", "medusa.commands.own_sessions.attach"),
    "cp": Command("copy files to and from the job of one of your sessions", "medusa.commands.own_sessions.copy"),
    "forward": Command(
        "forward connections to and from the job of one of your sessions", "medusa.commands.own_sessions.forward"
    ),
    "kill": Command("end one of your own sessions", "medusa.commands.own_sessions.kill"),
    "ssh-proxy": Command(
        "let ssh, scp, rsync and editors into a session, as ProxyCommand", "medusa.commands.ssh.proxy"
    ),
    "ssh-config": Command("print or install the lines for ~/.ssh/config", "medusa.commands.ssh.config"),
    "config": Command("show and edit the user's config file, with its profiles", "medusa.commands.config.command"),
    "archive": Command("write the agent archive that this installation carries", "medusa.commands.archive"),
    "publish": Command("put the agent's archive where jobs find it", "medusa.commands.publish"),
    "sign-url": Command("print a signed URL for the agent of a session", "medusa.commands.sign_url"),
}
"""All commands of `medusa`, by name."""

INTERRUPTED = 130  # 128 + SIGINT
USAGE_ERROR = 2

USAGE = """\
usage: medusa COMMAND [OPTION...]
       medusa COMMAND --help | --help | --version
"""

SECTIONS = (
    Section(
        "Examples",
        (
            ("medusa reflector --help", "the options of a command, with examples"),
            ("medusa ls", "your sessions"),
            ("medusa exec train -- nvidia-smi", "a command in the session `train`"),
            ("medusa sessions list", "the sessions of the reflector on this host"),
        ),
    ),
    Section("See also", text="A terminal in a job is a program of its own: mlogin --help"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa` and returns the exit status.

    `argv`: the arguments, without the program's name. None for the arguments of this process.
    """
    name, *arguments = (sys.argv[1:] if argv is None else argv) or [""]
    if name == "help" and arguments:
        name, arguments = arguments[0], ["--help"]
    if name == "reflector":  # it writes little, and may go on for ever
        return _run(name, arguments)
    with checked_streams("medusa"):
        try:
            return _run(name, arguments)
        except KeyboardInterrupt:
            print(f"medusa {name}: ended by SIGINT", file=sys.stderr)
            return INTERRUPTED


def _run(name: str, arguments: list[str]) -> int:
    if name in ("-h", "--help", "help"):
        show(usage())
        return 0
    if name in ("-V", "--version"):
        print(f"medusa {__version__}")
        return 0
    if name not in COMMANDS:
        return _refuse(name)
    if name != "reflector":  # it limits core dumps of its workers as well
        if any(word.startswith("--header") for word in arguments):
            from medusa.transports.dial.headers import hide_arguments

            hide_arguments(arguments)
        forbid_core_dump()
    command = importlib.import_module(COMMANDS[name].module)
    return int(command.main(arguments) or 0)


def usage() -> str:
    """Returns the help text of `medusa`, with a line for each command."""
    commands = Section("Commands", [(name, command.help) for name, command in COMMANDS.items()])
    parts = (render(section, width()) for section in (commands, *SECTIONS))
    return "\n".join([USAGE, *parts]).rstrip("\n")


def _refuse(name: str) -> int:
    kind = "option" if name.startswith("-") else "command"
    complaint = (
        f"unknown {kind} {name!r}{did_you_mean(name, [*COMMANDS, '--help', '--version'])}"
        if name
        else "no command given"
    )
    print(f"medusa: {complaint}\n\n{usage()}", file=sys.stderr)
    return USAGE_ERROR
