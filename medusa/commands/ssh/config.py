"""The command `medusa ssh-config`: prints blocks for ~/.ssh/config, or installs them."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

from medusa.client.outcome import Failure
from medusa.commands.options.parser import VARIABLES
from medusa.commands.own_sessions.options import Access, access, add_access_options
from medusa.commands.ssh.joining import SUFFIX, add_cwd_option, repeated, session_of
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.printable import printable

PROG = "medusa ssh-config"
USAGE_ERROR = 2

USAGE = f"{PROG} [SESSION | --all] [OPTION...]"

DESCRIPTION = """Print lines for ~/.ssh/config, or install them, so that ssh and all programs that use it reach your
sessions: `ssh NAME.medusa`, scp, sftp, rsync, git, editors. What is printed can be used by any ssh on this machine."""

SECTIONS = (
    Section(
        "What is printed",
        text="Without SESSION: one block for all hosts *.medusa, whose names are those of sessions. With SESSION, "
        "which need not run yet: the block of that session alone. With --all: one for each session that runs, and "
        "one for each profile of the config file. With --profile NAME alone: the block of that profile, whose first "
        "connection starts a job.",
    ),
    Section(
        "Examples",
        (
            ("medusa ssh-config --write", "once; then `ssh NAME.medusa` works for each session"),
            ("medusa ssh-config --all --write", "programs that list the hosts of ~/.ssh/config show them"),
            ("medusa ssh-config --profile gpu --write", "`ssh gpu.medusa` starts the job of mlogin gpu"),
            ("medusa ssh-config train > F; ssh -F F train.medusa", "without touching ~/.ssh/config"),
        ),
    ),
    Section(VARIABLES),
    FILES,
    Section("Exit status", (("0", "done"), ("1", "nothing was written"), ("2", "wrong usage"))),
)

_HOST = re.compile(r"[A-Za-z0-9_.+-]+")
"""What can be a host's name in the config of ssh."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa ssh-config`. Returns the exit status: 0, or 1 if it has failed.

    Raises SystemExit(2) for wrong usage.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    parser = make_parser()
    given = parser.parse_args(words)
    if given.session is not None and given.all:
        parser.error("--all means all sessions: leave SESSION out")
    found = access(parser, given, words)
    try:
        if "header" in parser.typed(words):
            raise Failure("--header is not written: others could read it; put it into the config file")
        return _write_or_print(parser, given, words, found)
    except Failure as failure:
        print("\n".join(f"{PROG}: {line}" for line in str(failure).splitlines()), file=sys.stderr)
        return 1


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    own = ("all", "cwd", "write")
    parser = UserOptionParser(PROG, DESCRIPTION, USAGE_ERROR, own=own, usage=USAGE, sections=SECTIONS)
    group = parser.add_argument_group("What to print")
    group.add_argument("session", nargs="?", metavar="SESSION", help="which session; see below")
    group.add_argument("--all", action="store_true", help="each session that runs, and each profile")
    told = "install the blocks: in ~/.ssh/medusa_config, which ~/.ssh/config then includes"
    group.add_argument("--write", action="store_true", help=told)
    add_cwd_option(group)
    add_access_options(parser)
    return parser


def _write_or_print(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str], found: Access) -> int:
    from medusa.client.ssh.config_file import ANY, block, install  # takes long to import
    from medusa.client.ssh.host_key import host_key

    key = host_key()
    alone = given.session is None and not given.all  # then --profile names what is reached
    options = list(repeated(parser, given, words, profile=not alone))
    options += [f"--cwd={given.cwd}"] if "cwd" in parser.typed(words) else []
    blocks: dict[str, str] = {}
    for host, arguments in _hosts(parser, given, words, found):
        command = [*program(), "ssh-proxy", *arguments, *options]
        blocks[host] = block(host, command, key.known_hosts, waits="--profile" in arguments)
    if not blocks:
        raise Failure("you have no sessions, and no profiles; `medusa ssh-config` is for sessions to come")
    if not given.write:
        print(f"# the host key: {ANY} {key.public}\n")
        print("\n".join(blocks.values()), end="")
        return 0
    for path in install(blocks, Path(os.path.expanduser("~/.ssh")), only=given.all):
        print(f"{PROG}: changed {printable(str(path))}", file=sys.stderr)
    named = [f"ssh {host}" for host in blocks if host != ANY]
    print("\n".join(named or ["ssh NAME.medusa  (`medusa ls` lists the names)"]))
    return 0


def _hosts(
    parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str], found: Access
) -> Iterator[tuple[str, list[str]]]:
    """Yields the hosts, and what names each to ssh-proxy. A profile comes after a session of the same name."""
    if given.session is not None:
        session = session_of(given.session)
        if not _HOST.fullmatch(session):
            raise Failure(f"`{printable(session)}` cannot be a host's name; give the session's id")
        yield session + SUFFIX, [session]
    elif given.all:
        for name in _sessions(found):
            yield name + SUFFIX, [name]
        for profile in parser.profiles(words):
            if _HOST.fullmatch(profile):
                yield profile + SUFFIX, ["--profile", profile]
    elif "profile" in parser.typed(words):
        if not _HOST.fullmatch(given.profile):
            raise Failure(f"`{printable(given.profile)}` cannot be a host's name")
        yield given.profile + SUFFIX, ["--profile", given.profile]
    else:
        yield "*" + SUFFIX, ["%h"]


def _sessions(found: Access) -> list[str]:
    """Returns for each session of the user its name, or its id if the name is not that of one host. Raises Failure.

    Tells the user which names several sessions have. Their case does not count: ssh makes the letters of hosts' names
    small, for a ProxyCommand and for the %C of a ControlPath.
    """
    from medusa.client.queries import local
    from medusa.client.queries.joining import own_entries
    from medusa.client.queries.meaning import can_be_joined
    from medusa.commands.own_sessions.asking import asked

    entries = [*local.sessions(), *(own_entries(*asked(found))[0] if found.reflector is not None else [])]
    live = [entry for entry in entries if can_be_joined(entry)]
    names = [str(entry.get("name") or "") for entry in live]
    counts = Counter(name.lower() for name in names if name)
    for name in sorted(name for name, count in counts.items() if count > 1):
        print(f"{PROG}: {counts[name]} sessions have the name {printable(name)}: their ids are used", file=sys.stderr)
    return [
        name if _HOST.fullmatch(name) and counts[name.lower()] == 1 else str(entry["id"])
        for name, entry in zip(names, live, strict=True)
    ]


def program() -> list[str]:
    """Returns the command that runs `medusa`, as this process was run."""
    own = os.path.abspath(sys.argv[0])
    if os.path.basename(own) == "medusa" and os.access(own, os.X_OK):
        return [own]
    return [sys.executable, "-m", "medusa"]
