"""`mlogin`: a terminal in a job. Arguments and the state of the process; the rest is medusa/client/mlogin.py."""

from __future__ import annotations

import argparse
import os
import sys
import urllib.parse
from collections.abc import Sequence

from medusa import __version__
from medusa.client.escape import DEFAULT_CHARACTER, parse_character
from medusa.client.launchers import LAUNCHERS
from medusa.client.mlogin import Options, run
from medusa.client.outcome import OWN_ERROR
from medusa.commands.options import OptionParser

DEFAULT_WAIT = 600.0
"""Seconds; also how long a reflector keeps a lonely client."""

DESCRIPTION = """A terminal in a job, as if by ssh. Without --reflector, one is started for this session alone."""

EPILOG = """Exit status: that of the remote command, 128+N if signal N ended it; 255 if no session came to be;
254 if it was cut off and its outcome is unknown. On the command line goes over MEDUSA_... goes over --config."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs mlogin and returns its exit status."""
    _open_standard_fds()
    return run(parse(sys.argv[1:] if argv is None else argv))


def parse(argv: Sequence[str]) -> Options:
    """The options of a command line, its environment and its config file. Raises SystemExit(255) for a wrong one."""
    parser = _parser()
    given = parser.parse_args(list(argv))
    escape = DEFAULT_CHARACTER if given.escape is None else given.escape[0]
    return Options(
        command=given.command,
        escape=escape,
        escape_given=given.escape is not None,
        quiet=given.quiet,
        launcher=given.launcher,
        reflector=given.reflector,
        insecure_tls=given.insecure_tls,
        wait_timeout=given.wait_timeout or None,
        archive=given.archive,
        object=given.object,
    )


def _parser() -> OptionParser:
    parser = OptionParser("mlogin", DESCRIPTION, OWN_ERROR, epilog=EPILOG, add_env_var_help=False)
    add = parser.add_argument
    add("--config", is_config_file=True, env_var="MEDUSA_CONFIG", metavar="FILE", help="key = value lines or JSON")
    add("-c", "--command", metavar="COMMAND", help="run COMMAND and end with it, instead of a shell")
    add("-e", "--escape", metavar="CHAR", type=_escape, help="escape character, ^X or none (default: ~)")
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--launcher", choices=sorted(LAUNCHERS), default="local", help="who runs the job (%(default)s)")
    add("--reflector", metavar="URL", type=_url, help="the reflector to meet at")
    add("-i", "--insecure-tls", action="store_true", help="trust any certificate")
    add(
        "--wait-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=DEFAULT_WAIT,
        help="how long to wait for the job; 0: as long as the reflector does (%(default).0f)",
    )
    add("--archive", metavar="FILE", help="agent archive (default: the one carried along)")
    add("--version", action="version", version=f"mlogin {__version__}")
    add("object", nargs="?", metavar="OBJECT", help="what the job is to work on, where the launcher has such things")
    return parser


def _escape(text: str) -> tuple[bytes | None]:
    """A tuple, to tell `none` from an option that was not given."""
    try:
        return (parse_character(text),)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _url(text: str) -> str:
    try:
        parts = urllib.parse.urlsplit(text)
        good = parts.scheme in ("http", "https", "ws", "wss") and parts.hostname and (parts.port or True)
    except ValueError:
        good = False
    if "@" in text:  # not repeated: what stands before it may be a secret, and any @ may be that of a password with a /
        raise argparse.ArgumentTypeError(
            "no user name and password, and no other @, may stand in the URL of a reflector"
        )
    if not good or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is not the http, https, ws or wss URL of a reflector")
    return text


def _seconds(text: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdecimal() else -1.0
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _open_standard_fds() -> None:
    """A descriptor 0, 1 or 2 that the caller closed would go to the next socket, and terminal bytes with it."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return


if __name__ == "__main__":
    sys.exit(main())
