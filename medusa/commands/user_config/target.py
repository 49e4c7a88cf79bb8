"""Finds what mlogin's TARGET names: a profile of the user's config file."""

from __future__ import annotations

from collections.abc import Sequence

from medusa.commands.user_config.parser import UserOptionParser


def profile_named(parser: UserOptionParser, words: Sequence[str]) -> str | None:
    """Returns the profile that TARGET names on mlogin's command line `words`. None if it names none.

    With --launcher on the command line, TARGET is the launcher's object. Exits if the command line or the config file
    is wrong.
    """
    given = parser.command_line(words)
    if given.object is None or given.launcher is not None or given.object not in parser.profiles(words):
        return None
    return str(given.object)
