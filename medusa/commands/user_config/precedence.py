"""Settles what the config file and the environment say about launchers, where a session uses another one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import SimpleNamespace

from medusa.client import launchers
from medusa.commands.options import COMMON
from medusa.commands.user_config.parser import TARGET, Place, UserOptionParser

OF_MANTA = ("agent-object", "asset", "disk", "image", "init", "memory")
"""The options that only the launcher `manta` has."""

OF_LAUNCHERS = (*OF_MANTA, "job", "launcher-arg")
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

    The launcher that a section of the file names is that for which the section sets options. Common keys hold for every
    launcher that has such an option.
    """
    used = launchers.SHORT.get(launcher, launcher)
    found = [
        name
        for name in OF_LAUNCHERS
        if (place := parser.place_of(name)) is not None and _launcher_of(parser, place, name) not in (None, used)
    ]
    archive = parser.place_of("archive")
    starts_nothing = used == launchers.EXISTING and archive is not None and archive.section == COMMON
    return [*found, "archive"] if starts_nothing else found


def _launcher_of(parser: UserOptionParser, place: Place, option: str) -> str | None:
    """Returns the launcher for which the section of `place` sets an option. None if it names none."""
    if place.section == COMMON and option in OF_MANTA:
        return "manta"
    settings = {setting.key: str(setting.value) for setting in parser.sections_of(place.file)[place.section]}
    name = settings.get("launcher") or launchers.of_target(settings.get(TARGET, ""))
    return None if name is None else launchers.SHORT.get(name, name)


def _rank(parser: UserOptionParser, typed: argparse.Namespace, name: str) -> int:
    """Returns a number that is the less, the more the source of option `name` counts."""
    if getattr(typed, name) is not None:
        return 0
    place = parser.place_of(name)
    return 1 if place is None else 3 if place.section == COMMON else 2
