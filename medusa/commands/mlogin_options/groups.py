"""Makes the parser of mlogin's options: one function for each group, in the order of the help text.

A new option goes into the group of its topic. A new topic is a new function, which `make_parser` calls.
"""

from __future__ import annotations

from medusa import __version__
from medusa.client import launchers
from medusa.client.outcome import OWN_ERROR
from medusa.client.settings import AGENT_OBJECT
from medusa.commands.manta_options import add_header_options, add_manta_options
from medusa.commands.mlogin_options import advice, texts, types
from medusa.commands.mlogin_options.forwards import add_forward_options
from medusa.commands.mlogin_options.process import add_process_options
from medusa.commands.options.parser import OptionParser
from medusa.commands.user_config.parser import UserOptionParser
from medusa.option_types import seconds

LOCAL = "local"
"""The launcher that runs if the user names none."""

DEFAULT_WAIT = 600.0
"""The default time in seconds to wait for the agent if the launcher has no queue. The reflector has the same limit."""


def make_parser(prog: str = "mlogin", error_status: int = OWN_ERROR) -> UserOptionParser:
    """Returns the parser of all options of mlogin. `prog`: the program that its errors name."""
    usage = f"{prog} [OPTION...] [TARGET] [-- LAUNCHER OPTION...]"
    parser = UserOptionParser(prog, texts.DESCRIPTION, error_status, strict=True, usage=usage, sections=texts.SECTIONS)
    parser.advise = advice.complaint
    _add_job(parser)
    _add_session(parser)
    add_forward_options(parser, stdio=True, alone=True)
    _add_reflector(parser)
    add_manta_options(parser)
    _add_manta_job(parser)
    _add_others(parser)
    return parser


def _add_job(parser: OptionParser) -> None:
    group = parser.add_argument_group("Which job")
    add = group.add_argument
    target = "a profile; or LAUNCHER:[JOB, HOST or POD]; or the beginning of a session's id; with --launcher, its host "
    target += "or object. mlogin LAUNCHER: --help shows what a launcher takes"
    add("object", nargs="?", metavar="TARGET", help=target)
    who = add("--launcher", metavar="NAME", help=f"who runs the job: %(launchers)s (default: {LOCAL})")
    vars(who)["launchers"] = _LauncherNames()
    add(
        "--launcher-arg",
        metavar="ARG",
        action="append",
        default=[],
        help="for the job system, as it stands; may be repeated. So are all words behind --",
    )
    add("--job", metavar="ID", help="get into a job that runs already, where the launcher can do that")
    add("--session", metavar="ID", help="start nothing: meet the agent of that session, which is started elsewhere")
    add("--name", metavar="NAME", type=types.session_name, help="a name for the session, in place of its id")
    add("--archive", metavar="FILE", help="agent archive (default: the one carried along)")


class _LauncherNames:
    """The names of all launchers, for a help text. They are looked for when the text is made, because that takes long.

    What looks for them reads the metadata of all packages that are installed.
    """

    def __str__(self) -> str:
        return ", ".join(launchers.names())


def _add_session(parser: OptionParser) -> None:
    group = parser.add_argument_group("In the job")
    add = group.add_argument
    add("-c", "--command", metavar="COMMAND", help="run COMMAND and end with it, instead of a shell")
    add("-d", "--detach", action="store_true", help="start it in a terminal, print how to attach to it, and leave it")
    add_process_options(group)


def _add_reflector(parser: OptionParser) -> None:
    group = parser.add_argument_group("Reflector")
    add = group.add_argument
    add("--reflector", metavar="URL", type=types.reflector_url, help="the reflector to meet at")
    add_header_options(group)
    add(
        "--wait-timeout",
        metavar="SECONDS",
        type=seconds,
        help="how long to wait for the job; 0: as long as the reflector does"
        f" (default: {DEFAULT_WAIT:.0f}; where jobs queue, as long as the job lives)",
    )


def _add_manta_job(parser: OptionParser) -> None:
    group = parser.add_argument_group("Jobs of --launcher manta")
    add = group.add_argument
    add("--disk", metavar="GB", type=types.count, help="of the job's disk")
    add("--memory", metavar="MB", type=types.count, help="of the job's memory")
    add("--init", metavar="COMMAND", help="to run in the job before the agent")
    add("--image", metavar="SEMVER", help="which image the job may have")
    add(
        "-s",
        "--asset",
        "--assets",
        metavar="OBJECT",
        action="append",
        default=[],
        help="put it below /assets; may be repeated",
    )
    add("--agent-object", metavar="OBJECT", default=AGENT_OBJECT, help="the agent archive (%(default)s)")


def _add_others(parser: OptionParser) -> None:
    add = parser.add_argument
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--version", action="version", version=f"mlogin {__version__}")
