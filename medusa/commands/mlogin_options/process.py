"""Adds the options that say how a command runs in a job. mlogin and `medusa exec` have them."""

from __future__ import annotations

import argparse
from typing import Any

from medusa.commands.mlogin_options import types
from medusa.protocol.resume.offer import KEEP
from medusa.protocol.terminal import environment


def add_escape_option(group: Any) -> None:
    """Adds the option for the escape character to `group`, a group of options of a parser."""
    group.add_argument(
        "-e", "--escape", metavar="CHAR", type=types.escape, help="escape character, ^X or none (default: ~)"
    )


def add_keep_option(group: Any) -> None:
    """Adds the option --keep to `group`, a group of options of a parser.

    It says how long a session is kept after its link is lost.
    """
    group.add_argument(
        "--keep",
        metavar="TIME",
        default=KEEP,
        type=types.keep,
        help="how long to keep what runs after the link is lost, and to try to come back, such as 90s, 10m, 2h or 1d; "
        "0: end with the link (default: 1h)",
    )


def add_process_options(group: Any) -> None:
    """Adds options to `group`, a group of a parser: those that say how a command runs in a job."""
    add = group.add_argument
    add(
        "--login",
        action=argparse.BooleanOptionalAction,
        env_var="MEDUSA_LOGIN_SHELL",  # MEDUSA_LOGIN is the variable of `medusa sessions --login`
        help="run the login shell of the job's user, which reads its start-up files; --no-login: a bash that reads "
        "none (default: --login for a shell, --no-login with -c)",
    )
    add_escape_option(group)
    add(
        "-t",
        "-T",
        "--tty",
        dest="pty",
        action=types.Pty,
        help="-t: a terminal in the job. -T: none, but pipes for input, output and errors (default: a terminal if "
        "standard input and output are terminals)",
    )
    add("-n", "--no-input", action="store_true", help="read nothing: standard input is /dev/null")
    add_keep_option(group)
    add(
        "--cwd",
        metavar="DIR",
        default="",
        type=types.directory,
        help="start in this directory of the job's machine",
    )
    add(
        "--env",
        metavar="NAME=VALUE",
        type=types.variable,
        action="append",
        default=[],
        help="set this variable there; NAME alone: to its value here; may be repeated",
    )
    add(
        "--send-env",
        metavar="NAME[,...]",
        type=types.names,
        action="append",
        default=[],
        help="send these variables too, if they are set. NAME may contain * and ?; -NAME leaves variables out; `none` "
        f"leaves out all that stands before it (default: {', '.join(environment.DEFAULT)})",
    )
