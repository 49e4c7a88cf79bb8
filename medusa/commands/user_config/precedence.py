"""Settles what the config file and the environment say about launchers, where a session uses another one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import SimpleNamespace

from medusa.client import launchers
from medusa.commands.options import COMMON
from medusa.commands.user_config.parser import TARGET, Place, UserOptionParser

OF_LAUNCHERS = ("agent-object", "asset", "disk", "image", "init", "job", "launcher-arg", "memory")
"""The options that say something to one launcher, and mean nothing or something else to another."""


def prefer_nearer(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str]) -> None:
    """Drops --session or --launcher, which exclude each other, if both are given: the one that counts less.

    If both come from the same place, both are kept: that is an error of the user.

    Args:
        given: all options.
        words: mlogin's own words on the command line.
    """
    if given.session is None or given.launcher is None:
        return
    typed = parser.command_line(words)
    session, launcher = _rank(parser, typed, "session"), _rank(parser, typed, "launcher")
    if session < launcher:
        given.launcher = None
    elif launcher < session:
        given.session = None


def drop_of_others(parser: UserOptionParser, given: SimpleNamespace) -> None:
    """Gives the options that the config file sets for another launcher than `given.launcher` their defaults again."""
    for name in of_other_launchers(parser, given.launcher):
        dest = name.replace("-", "_")
        setattr(given, dest, parser.get_default(dest))


def of_other_launchers(parser: UserOptionParser, launcher: str) -> list[str]:
    """Returns the names of the options that the config file sets for another launcher than `launcher`.

    The launcher that a section of the file names is that for which the section sets options.
    """
    used = launchers.SHORT.get(launcher, launcher)
    return [
        name
        for name in OF_LAUNCHERS
        if (place := parser.place_of(name)) is not None and _launcher_of(parser, place) not in (None, used)
    ]


def _launcher_of(parser: UserOptionParser, place: Place) -> str | None:
    """Returns the launcher that the section of `place` names. None if it names none."""
    settings = {setting.key: str(setting.value) for setting in parser.sections_of(place.file)[place.section]}
    name = settings.get("launcher") or launchers.of_target(settings.get(TARGET, ""))
    return None if name is None else launchers.SHORT.get(name, name)


def _rank(parser: UserOptionParser, typed: argparse.Namespace, name: str) -> int:
    """Returns a number that is the less, the more the source of option `name` counts."""
    if getattr(typed, name) is not None:
        return 0
    place = parser.place_of(name)
    return 1 if place is None else 3 if place.section == COMMON else 2
