"""The command `medusa exec`: runs one more command in the job of a session that runs already."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from medusa.client.outcome import OWN_ERROR, Failure
from medusa.client.settings import DEFAULT_ESCAPE, Settings
from medusa.commands.mlogin_options import types
from medusa.commands.mlogin_options.forwards import add_forward_options, typed_forwards
from medusa.commands.mlogin_options.process import add_process_options
from medusa.commands.options.parser import VARIABLES, unrecognized
from medusa.commands.own_sessions.options import access, add_access_options, join_settings, session_given
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.printable import printable
from medusa.protocol.terminal import environment

PROG = "medusa exec"

USAGE = f"{PROG} SESSION [OPTION...] [-- COMMAND [ARGUMENT...]]"

DESCRIPTION = """Run a command in the job of one of your sessions, beside what runs there: on a terminal if standard
input and output are terminals, else on pipes that carry any bytes. Input, output, errors, signals and the exit status
are passed on. The session goes on until its own mlogin and all commands have ended."""

SECTIONS = (
    Section(
        "SESSION",
        text="A session's --name, its id, or the beginning of its id; `medusa ls` lists your sessions.",
    ),
    Section(
        "COMMAND",
        text="Several words are passed on exactly as they are: a program and its arguments. One word alone is a line "
        "for the shell in the job. Without COMMAND the login shell of the job's user runs.",
    ),
    Section(
        "Examples",
        (
            ("medusa exec train", "one more shell, in the job of the session `train`"),
            ("medusa exec train -- nvidia-smi -l 5", "a program and its arguments"),
            ("medusa exec train -- 'cd run && ls *.log'", "a line for the shell"),
            ("medusa exec train -- tar c out | tar x", "any bytes"),
            ("medusa exec 5d3e -t -- top", "on a terminal in any case"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section(
        "Exit status",
        (
            ("that of COMMAND", "128+N if signal N ended it"),
            ("126, 127", "COMMAND cannot be run, or is not there"),
            ("130", "Control-C before it began"),
            ("254", "the session was cut off, and the outcome is unknown"),
            ("255", "COMMAND was not started, or wrong usage"),
        ),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa exec` and returns its exit status. Raises SystemExit(255) for wrong usage.

    `argv`: the arguments, without the command's name. None for the arguments of this process.
    """
    settings = parse(sys.argv[1:] if argv is None else argv)
    from medusa.client.mlogin import run  # takes long to import

    if settings.no_input:
        os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)
    return run(settings)


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    parser = UserOptionParser(PROG, DESCRIPTION, OWN_ERROR, usage=USAGE, sections=SECTIONS)
    parser.advise = _complaint
    group = parser.add_argument_group("What to run")
    group.add_argument("session", metavar="SESSION", help="in which session; see below")
    add_process_options(group)
    add_forward_options(parser)
    add_access_options(parser)
    return parser


def parse(argv: Sequence[str]) -> Settings:
    """Returns the settings, from the command line `argv`, the environment and the config file.

    Raises SystemExit(255) if an option is wrong.
    """
    parser = make_parser()
    words = list(argv)
    at = words.index("--") if "--" in words else len(words)
    own, command = words[:at], words[at + 1 :]
    given = parser.parse_args(own)
    found = access(parser, given, own)
    try:
        env = types.variables(given.env)
    except Failure as failure:
        parser.error(str(failure))
    session = session_given(parser, given)
    return join_settings(
        PROG,
        session,
        given.keep,
        found,
        command=shell_line(command),
        login_shell=given.login,
        pty=given.pty,
        env=env,
        cwd=given.cwd,
        escape=DEFAULT_ESCAPE if given.escape is None else given.escape[0],
        escape_given=given.escape is not None,
        send_env=(*environment.DEFAULT, *(word for words in given.send_env for word in words)),
        quiet=True,
        no_input=given.no_input,
        forwards=typed_forwards(given, parser.typed(own)),
    )


def shell_line(words: Sequence[str]) -> str | None:
    """Returns the line that a shell has to run for `words`, the words after `--` on the command line.

    A single word is returned as it is. Several words are quoted, so each reaches the command unchanged. Returns None if
    there are no words.
    """
    if len(words) < 2:
        return words[0] if words else None
    return shlex.join(words)


def _complaint(parser: argparse.ArgumentParser, words: Sequence[str], unknown: Sequence[str], given: Any) -> str:
    """Returns the error for words that are not understood. For a command, the error says to put `--` before it."""
    if re.fullmatch("-[it]*i[it]*", unknown[0]):
        return f"unrecognized arguments: {unknown[0]}; input is always passed on, and -t asks for a terminal"
    if given is None or unknown[0].startswith("-"):
        return unrecognized(parser, words, unknown, given)
    command = shlex.join(words[words.index(unknown[0]) :])
    line = f"{PROG} {shlex.quote(given.session)} -- {command}"
    return f"a command stands after --: {printable(line, 1000)}"
