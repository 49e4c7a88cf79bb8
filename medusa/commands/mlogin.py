"""The program `mlogin`: opens a terminal in a job. Parses the arguments; medusa/client/mlogin.py does the rest."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
import urllib.parse
from collections.abc import Sequence
from types import SimpleNamespace

from medusa import __version__
from medusa.client import launchers
from medusa.client.mlogin import run
from medusa.client.outcome import OWN_ERROR, Failure
from medusa.client.session.escape import parse_character
from medusa.client.settings import AGENT_OBJECT, DEFAULT_ESCAPE, MantaJobOptions, Settings
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.commands.core_dumps import forbid_core_dump
from medusa.commands.manta_options import VARIABLES, SigningOptions, add_manta_options, manta_options
from medusa.commands.options import COMMON
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.commands.user_config.target import profile_named
from medusa.option_types import seconds
from medusa.protocol.attach_path import LOGIN
from medusa.protocol.terminal import environment
from medusa.transports.dial import SECURE

MANTA, LOCAL = "manta", "local"
DEFAULT_WAIT = 600.0
"""The default time in seconds to wait for the agent if the launcher has no queue. The reflector has the same limit."""

DESCRIPTION = """A terminal in a job, as if by ssh. Without --reflector, one is started for this session alone; with
--launcher manta, sessions meet at the Manta's own. With an account and a key, requests to either are signed."""

EPILOG = f"""Exit status: that of the remote command, 128+N if signal N ended it; 255 if no session came to be;
254 if it was cut off and its outcome is unknown. {FILES} The command line goes before the variables
MEDUSA_..., these before the profile, it before the common keys, and these before the variables MANTA_..."""


def main(argv: Sequence[str] | None = None, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> int:
    """Runs mlogin and returns its exit status.

    Args:
        argv: the arguments, without the program's name. None for the arguments of this process.
        timeouts: all timeouts of mlogin. Tests pass their own.
    """
    _open_standard_fds()
    forbid_core_dump()
    settings = dataclasses.replace(parse(sys.argv[1:] if argv is None else argv), timeouts=timeouts)
    if settings.no_input:
        os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)
    return run(settings)


def parse(argv: Sequence[str]) -> Settings:
    """Returns the settings of mlogin, from the command line `argv`, the environment and the config file.

    Raises SystemExit(255) if an option is wrong.
    """
    parser = make_parser()
    own, passed_on = _split(argv)
    parser.profile = profile_named(parser, own)
    is_profile = parser.profile is not None
    given = parser.parse_args(own)
    if is_profile or given.object is None:
        given.object = parser.target
    escape = DEFAULT_ESCAPE if given.escape is None else given.escape[0]
    try:
        given.launcher = _launcher(given)
        manta = _manta(parser, given)
        queues = launchers.find(given.launcher).queues
    except Failure as failure:
        parser.error(str(failure))
    return Settings(
        command=given.command,
        login_shell=given.login,
        escape=escape,
        escape_given=given.escape is not None,
        send_env=(*environment.DEFAULT, *(word for words in given.send_env for word in words)),
        quiet=given.quiet,
        no_input=given.no_input,
        launcher=given.launcher,
        reflector=given.reflector,
        insecure_tls=manta.insecure_tls,
        wait_timeout=_wait_timeout(given, queues=queues),
        archive=given.archive,
        object=given.object,
        arguments=(*given.launcher_arg, *passed_on),
        job=given.job,
        session=given.session,
        login=manta.account,
        subuser=manta.subuser,
        key=manta.key,
        url=manta.url,
        manta=MantaJobOptions(
            given.disk, given.memory, given.init, given.image, tuple(given.asset), given.agent_object
        ),
    )


def _manta(parser: UserOptionParser, given: SimpleNamespace) -> SigningOptions:
    """Returns the account that signs, or options without an account if nothing is to be signed.

    The variables MANTA_... alone do not make mlogin sign, because they may be set for other programs.

    `given`: the options that the parser found. Raises Failure if a part of the account is missing, if a login is
    malformed, or if the user gave mlogin an option for signing without a reflector or a Manta that would use it.
    """
    manta = manta_options(given)
    wished = _wished(parser, given, manta)
    if given.launcher == MANTA:
        manta.require("url", "account", "key")
    else:
        if "url" in wished:
            raise Failure("--url names a Manta, whose jobs are run by --launcher manta")
        if given.reflector is None and wished:
            options = " and ".join(f"--{name.replace('_', '-')}" for name in wished)
            raise Failure(f"{options}: for which reflector? Give --reflector URL, or --launcher manta")
        if {"account", "key", "subuser"} & set(wished):
            manta.require("account", "key")
        elif not (given.reflector and manta.account and manta.key):
            return SigningOptions(None, None, None, None, given.insecure_tls)
    for name in filter(None, (manta.account, manta.subuser)):
        if not re.fullmatch(LOGIN, name):
            raise Failure(f"{name!r} is no login")
    return manta


def _wished(parser: UserOptionParser, given: SimpleNamespace, manta: SigningOptions) -> list[str]:
    """Returns the names of the options whose values the user gave for this session.

    The values of the variables MANTA_... and MEDUSA_URL do not count, because all programs of a user read these; nor do
    the common keys of the config file, which hold for sessions of every kind.

    `given`: the options that the parser found. `manta`: the values of those for signing.
    """
    values = {name: getattr(manta, name) for name in VARIABLES} | {"insecure_tls": given.insecure_tls or None}
    shared = {**VARIABLES, "url": (*VARIABLES["url"], "MEDUSA_URL")}
    places = {name: parser.place_of(name.replace("_", "-")) for name in values}
    return [
        name
        for name, value in values.items()
        if value not in (None, *map(os.environ.get, shared.get(name, ())))
        and not ((place := places[name]) and place.section == COMMON)
    ]


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns two lists: mlogin's own arguments, and the arguments after the first `--`."""
    words = list(argv)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _launcher(given: SimpleNamespace) -> str:
    if given.session is None:
        return given.launcher or LOCAL
    if given.launcher not in (None, launchers.EXISTING):
        raise Failure("--session ID waits for an agent that is started elsewhere; --launcher starts one: not both")
    if given.reflector is None:
        raise Failure("--session ID needs --reflector URL: the one that the session's agent dials")
    return launchers.EXISTING


def _wait_timeout(given: SimpleNamespace, *, queues: bool) -> float | None:
    if given.wait_timeout is None:
        return None if queues else DEFAULT_WAIT
    return float(given.wait_timeout) or None


def make_parser(prog: str = "mlogin", error_status: int = OWN_ERROR) -> UserOptionParser:
    """Returns the parser of mlogin's options. `prog`: the program that its errors name."""
    parser = UserOptionParser(prog, DESCRIPTION, error_status, strict=True, epilog=EPILOG, add_env_var_help=False)
    add = parser.add_argument
    add("-c", "--command", metavar="COMMAND", help="run COMMAND and end with it, instead of a shell")
    add(
        "--login",
        action=argparse.BooleanOptionalAction,
        env_var="MEDUSA_LOGIN_SHELL",  # MEDUSA_LOGIN is that of `medusa sessions`
        help="run the login shell of the job's user, which reads its start-up files; --no-login: a bash that reads "
        "none (default: --login for a shell, --no-login with -c)",
    )
    add("-e", "--escape", metavar="CHAR", type=_escape, help="escape character, ^X or none (default: ~)")
    add("-n", "--no-input", action="store_true", help="read nothing: standard input is /dev/null")
    add(
        "--send-env",
        metavar="NAME[,...]",
        type=_names,
        action="append",
        default=[],
        help="send these variables too, if they are set. NAME may contain * and ?; -NAME leaves variables out; `none` "
        f"leaves out all that stands before it (default: {','.join(environment.DEFAULT)})",
    )
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--launcher", metavar="NAME", help=f"who runs the job: {', '.join(launchers.names())} (default: {LOCAL})")
    add(
        "--launcher-arg",
        metavar="ARG",
        action="append",
        default=[],
        help="for the job system, as it stands; may be repeated. So are all words behind --",
    )
    add("--job", metavar="ID", help="get into a job that runs already, where the launcher can do that")
    add("--session", metavar="ID", help="start nothing: meet the agent of that session, which is started elsewhere")
    add("--reflector", metavar="URL", type=_url, help="the reflector to meet at")
    add(
        "--wait-timeout",
        metavar="SECONDS",
        type=seconds,
        help="how long to wait for the job; 0: as long as the reflector does"
        f" (default: {DEFAULT_WAIT:.0f}; where jobs queue, as long as the job lives)",
    )
    add("--archive", metavar="FILE", help="agent archive (default: the one carried along)")
    add("--version", action="version", version=f"mlogin {__version__}")
    target = "a profile of the config file; with --launcher, what the job is to work on"
    add("object", nargs="?", metavar="TARGET", help=target)
    add_manta_options(parser)
    _add_manta_options(parser)
    return parser


def _add_manta_options(parser: UserOptionParser) -> None:
    add = parser.add_argument
    add("--disk", metavar="GB", type=_count, help="launcher manta: of the job's disk")
    add("--memory", metavar="MB", type=_count, help="launcher manta: of the job's memory")
    add("--init", metavar="COMMAND", help="launcher manta: to run in the job before the agent")
    add("--image", metavar="SEMVER", help="launcher manta: which image the job may have")
    add(
        "-s",
        "--asset",
        "--assets",
        metavar="OBJECT",
        action="append",
        default=[],
        help="launcher manta: put it below /assets; may be repeated",
    )
    add(
        "--agent-object", metavar="OBJECT", default=AGENT_OBJECT, help="launcher manta: the agent archive (%(default)s)"
    )


def _escape(text: str) -> tuple[bytes | None]:
    """Returns the escape character in a tuple. The text `none` becomes (None,), so it differs from a missing option."""
    try:
        return (parse_character(text),)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _names(text: str) -> list[str]:
    words = [word for word in text.split(",") if word]
    for word in words:
        if not environment.PATTERN.fullmatch(word):
            raise argparse.ArgumentTypeError(f"{word!r} is neither a variable's name nor a pattern")
    return words


def _url(text: str) -> str:
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port or (parts.scheme in ("http", "https", "ws", "wss"))
        good = parts.scheme in SECURE and parts.hostname and port
    except ValueError:
        good = False
    # The message does not repeat the text: a password may stand before the @. It may even contain a /.
    if "@" in text:
        raise argparse.ArgumentTypeError(
            "no user name and password, and no other @, may stand in the URL of a reflector"
        )
    if "?" in text:  # the message does not repeat the text here either: the query may be a signature
        raise argparse.ArgumentTypeError("the URL of a reflector has no query: neither ? nor what follows it")
    if not good or parts.fragment:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the http, https, ws or wss URL of a reflector, nor tcp://HOST:PORT"
        )
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _open_standard_fds() -> None:
    """Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise the next socket would get one of these numbers, and would receive what is written to the terminal.
    """
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return


if __name__ == "__main__":
    sys.exit(main())
