"""The settings with which commands join a session that runs, to use channels of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from medusa.client.settings import Settings
from medusa.commands.mlogin_options import types
from medusa.commands.own_sessions.options import Access, join_settings
from medusa.commands.user_config.parser import UserOptionParser

SUFFIX = ".medusa"
"""The end of the host's name by which ssh knows a session."""


HOME = "~"
"""The directory in the job in which sessions of ssh start, as at any sshd: scp counts on that."""

_REPEATED = ("config", "reflector", "account", "subuser", "key")
"""The options that another program gets too, if they were typed."""


def session_of(host: str) -> str:
    """Returns what names the session of a host: the host's name without SUFFIX."""
    return host.strip().removesuffix(SUFFIX)


def joining(prog: str, session: str, found: Access, given: SimpleNamespace) -> Settings:
    """Returns the settings for a program that joins `session`: its name, its id, or the beginning of its id.

    Args:
        prog: the program that messages name.
        given: all options.
    """
    return join_settings(
        prog,
        session,
        given.keep,
        found,
        cwd=given.cwd,
        pty=False,
        quiet=True,
        no_input=True,
    )


def add_cwd_option(group: Any) -> None:
    """Adds the option --cwd to a parser, or to a group of its options."""
    told = "start in this directory of the job; `.` is the one in which the job runs (default: the home directory)"
    group.add_argument("--cwd", metavar="DIR", default=HOME, type=types.directory, help=told)


def repeated(
    parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str], *, profile: bool = False
) -> Iterator[str]:
    """Yields the options of the command line `words` that say where sessions are, for another command line.

    Args:
        given: all options.
        profile: True if --profile is among them.
    """
    typed = parser.typed(words)
    for name in (*_REPEATED, *(["profile"] if profile else [])):
        value = getattr(given, name, None)
        if name in typed and value is not None:
            yield f"--{name}={os.path.abspath(value) if name == 'config' else value}"
    if given.insecure_tls and "insecure_tls" in typed:
        yield "--insecure-tls"
