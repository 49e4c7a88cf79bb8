"""Finds what mlogin's TARGET names: a profile of the user's config file, a job of a launcher, or a session."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

from medusa.client import launchers
from medusa.client.outcome import Failure
from medusa.commands.user_config.parser import UserOptionParser
from medusa.option_types import closest
from medusa.protocol.errors import HandshakeError
from medusa.protocol.printable import printable
from medusa.protocol.session_id import UUID, parse_id

_FORMS = "TARGET is a profile, a LAUNCHER: as in slurm: and ssh:HOST, or the beginning of a session's id"

_SESSION = "\n  for a session, name its reflector by --reflector URL, or in the config file"

_WHICH_REFLECTOR = "at which reflector is the session %s? Name it by --reflector URL, or in the config file"


class Target(NamedTuple):
    """Holds the values of mlogin's options that a TARGET stands for. An option that it does not set is None.

    Attributes:
        beginning: the beginning of a session's id.
    """

    launcher: str | None = None
    object: str | None = None
    job: str | None = None
    session: str | None = None
    beginning: str | None = None


def profile_named(parser: UserOptionParser, words: Sequence[str]) -> str | None:
    """Returns the profile that TARGET names on mlogin's command line `words`. None if TARGET is no profile.

    With --launcher on the command line, TARGET is no profile: it is the launcher's object. Exits if the command line or
    the config file is wrong.
    """
    given = parser.command_line(words)
    if given.object is None or given.launcher is not None or given.object not in parser.profiles(words):
        return None
    return str(given.object)


def set_target(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str]) -> None:
    """Sets the options in `given` that TARGET stands for. TARGET is in `given.object`, and is no profile's name.

    Changes no option if --launcher or --session is on the command line: then TARGET is the launcher's object.

    Args:
        given: all options. This function adds two attributes to it. `beginning` is the beginning of a session's id, or
            None. `otherwise` is the end of the error text if no session's id starts with `beginning`.
        words: mlogin's own words on the command line.

    Raises:
        Failure: TARGET is wrong, or its session has no reflector.
    """
    given.beginning, given.otherwise = None, ""
    typed = parser.command_line(words)
    text = given.object
    if text is None or typed.launcher is not None or typed.session is not None:
        return
    profiles = parser.profiles(words)
    target = read_target(text, given.launcher, profiles)
    if target.job is not None and typed.job is not None:
        raise Failure(f"{printable(text)} and --job {printable(typed.job)} both name a job: leave one out")
    given.job = target.job or given.job
    given.launcher, given.object = target.launcher, target.object
    given.session, given.beginning = target.session, target.beginning or target.session
    if target.beginning is not None:
        given.otherwise = f", and there is no profile or launcher of this name{hint(text, profiles)}"
    if target.launcher is None and given.reflector is None:
        raise Failure(_WHICH_REFLECTOR % target.session if target.session else _unknown(text, profiles) + _SESSION)


def read_target(text: str, configured: str | None = None, profiles: Sequence[str] = ()) -> Target:
    """Returns what the TARGET `text` stands for. `text` must not be the name of a profile.

    Args:
        configured: the launcher that the environment or the config file names. If this launcher takes an object,
            `text` is the object. Exceptions: a `text` that begins with `LAUNCHER:`, and a whole session id.
        profiles: the names of all profiles, for the error.

    Raises:
        Failure: `text` cannot be a TARGET.
    """
    name = launchers.of_target(text)
    if name is not None:
        return _of_launcher(name, text.partition(":")[2])
    if UUID.fullmatch(text.lower()):  # so it is a whole id, and no reflector has to be asked for the rest of it
        return Target(session=text.lower())
    if configured is not None and launchers.find(configured).target == "object":
        return Target(configured, text)
    try:
        session = parse_id(urllib.parse.quote(text, safe=""))
    except HandshakeError:
        raise Failure(_unknown(text, profiles)) from None
    return Target(beginning=session)


def _of_launcher(name: str, word: str) -> Target:
    if not word:
        return Target(name)
    takes = launchers.find(name).target
    if takes == "object":
        return Target(name, f"ssh:{word}" if name == "ssh" and word.startswith("//") else word)  # ssh takes such a URI
    if takes == "job":
        return Target(name, job=word)
    raise Failure(f"nothing may follow {name}: in a TARGET; a command is given by -c")


def _unknown(text: str, profiles: Sequence[str]) -> str:
    if text in profiles:  # so it is the target of a profile: a profile that is typed is used
        return f"target = {printable(text)}: this is a profile, and a profile's target cannot be one"
    meant = hint(text, profiles)
    return f"there is no profile or launcher {printable(text) or repr('')}" + (meant or f"\n  {_FORMS}")


def hint(text: str, profiles: Sequence[str]) -> str:
    """Returns `; did you mean TARGET?` for a TARGET that is unknown. Returns "" if nothing is like it."""
    profiles = [name for name in profiles if name != text]
    named, colon, word = text.partition(":")
    names = [*launchers.names(), *launchers.SHORT]
    if colon:
        found = closest(named, names)
        meant = f"{found}:{word}" if found else "" if word else closest(named, profiles)
    else:
        meant = closest(text, [*profiles, *(f"{name}:" for name in names)])
    if not meant and "/" in text[:1]:
        meant = f"manta:{text}"
    elif not meant and "@" in text:
        meant = f"ssh:{text}"
    return f"; did you mean {printable(meant)}?" if meant else ""
