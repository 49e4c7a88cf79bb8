"""Drops options that do not fit the session's launcher, or that contradict an option from a source of higher priority.

The sources, from the highest to the lowest priority: command line, environment, section of the profile, common keys of
the config file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import SimpleNamespace

from medusa.client import launchers
from medusa.commands.options.config_file import COMMON
from medusa.commands.user_config.parser import TARGET, Place, UserOptionParser

OF_MANTA = ("agent-object", "asset", "disk", "image", "init", "memory")
"""The options that only the launcher `manta` has."""

OF_LAUNCHERS = (*OF_MANTA, "job", "launcher-arg")
"""The options that mean something to one launcher, and mean nothing or something else to another launcher."""


def set_profiles_target(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str]) -> None:
    """Sets `given.object` (mlogin's TARGET) to the target that the profile names; to None if it names none.

    Some options on the command line change this:

    - --session: the target is not used.
    - --launcher with another launcher than the target's: the target is not used.
    - --launcher with the target's launcher: only the word after `LAUNCHER:` is used. If it is a job, it goes into
      `given.job`.

    Args:
        given: all options.
        words: mlogin's own words on the command line.
    """
    typed, text = parser.command_line(words), parser.target
    given.object = None
    if text is None or typed.session is not None:
        return
    owner = _launcher_of(parser, parser.places[TARGET][0], TARGET)
    if typed.launcher is None or owner is None:
        given.object = text
    elif owner == launchers.SHORT.get(typed.launcher, typed.launcher):
        word = text.partition(":")[2] if launchers.of_target(text) else text
        takes_job = launchers.find(owner).target == "job"
        given.object = None if takes_job else word or None
        given.job = given.job or (word or None if takes_job else None)


def prefer_nearer(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str]) -> None:
    """Drops --session or --launcher if both are set: the one from the source of lower priority.

    The two options exclude each other. If both come from the same source, keeps both. Then the user gets an error.

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
    """Resets options to their defaults: those that the config file sets for other launchers than `given.launcher`."""
    for name in of_other_launchers(parser, given.launcher):
        dest = name.replace("-", "_")
        setattr(given, dest, parser.get_default(dest))


def of_other_launchers(parser: UserOptionParser, launcher: str) -> list[str]:
    """Returns the names of the options that the config file sets for other launchers than `launcher`.

    If a section of the file names a launcher, the options in the section are only for that launcher. Common keys are
    for every launcher that has such an option.
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
    """Returns the launcher for which the config file sets `option` at `place`. None if it is for every launcher."""
    if place.section == COMMON and option in OF_MANTA:
        return "manta"
    settings = {setting.key: str(setting.value) for setting in parser.sections_of(place.file)[place.section]}
    name = settings.get("launcher") or launchers.of_target(settings.get(TARGET, ""))
    return None if name is None else launchers.SHORT.get(name, name)


def _rank(parser: UserOptionParser, typed: argparse.Namespace, name: str) -> int:
    """Returns the rank of the source that has set the option `name`: from 0 (the command line) to 3 (common keys).

    A source with a lower number overrides one with a higher number.
    """
    if getattr(typed, name) is not None:
        return 0
    place = parser.place_of(name)
    return 1 if place is None else 3 if place.section == COMMON else 2
