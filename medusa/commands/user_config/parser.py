"""The user's config file, and the parser of the programs that read it: mlogin and commands of `medusa`.

The file has sections: each is a profile. The keys before the first section are the common keys, for every profile. An
option gets its value from the first of these that has one: the command line, the environment, the profile's section,
the common keys, the option's default.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from medusa.commands.options.config_file import COMMON, Setting
from medusa.commands.options.parser import OptionParser, name_of
from medusa.help_text import Section
from medusa.option_types import did_you_mean
from medusa.protocol.printable import printable

VARIABLE = "MEDUSA_CONFIG"
"""The variable that names the user's config file, for every program that reads it."""

TARGET = "target"
"""The key of a profile that names a job, session or host, in the form of mlogin's TARGET.

Only profiles can have it. It is needed because the user writes the profile's name in the place of TARGET.
"""

PATHS = ("archive", "header", "key")
"""The options whose values in the file may be a path that begins with `~/`, or `@` and such a path."""

FILES = Section(
    "Files",
    (
        (
            "~/.config/medusa/config",
            f"the config file (in $XDG_CONFIG_HOME if set; --config and {VARIABLE} name another)",
        ),
    ),
    "The config file has lines `option = value`: common ones, and then those of profiles, below [NAME]. Variables "
    "override it, and it overrides MANTA_... `medusa config` shows and edits it.",
)
"""What the help text of a program says about the config file."""


class Place(NamedTuple):
    """Says where in a config file an option is set. `section`: COMMON, or the profile's name. `line`: None in JSON."""

    file: str
    section: str
    line: int | None


def default_file(environ: Mapping[str, str] = os.environ) -> str | None:
    """Returns the path of the config file that is read if none is named. None if there is no home directory.

    Ignores XDG_CONFIG_HOME if its value is not an absolute path, as the XDG Base Directory Specification says.
    """
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.config")
    return os.path.join(base, "medusa", "config") if os.path.isabs(base) else None


class _Unset(list[object]):
    """Stands for the value of an option that is not on the command line.

    It is a list, because repeated options append to it.
    """


class UserOptionParser(OptionParser):
    """A parser that also reads the user's config file.

    Attributes:
        profile: the name of the profile that is used; None if no profile is used. A value that the caller sets
            overrides the variable MEDUSA_PROFILE, and --profile overrides this value.
        target: the TARGET that the profile names; None if it names none.
        places: name of an option -> the places where the file sets it, one for each value. An option is included even
            if the command line or a variable overrides it.

    Args:
        strict: True to refuse keys that are not options of this program. False to ignore them, for programs that know
            only some of mlogin's options.
        own: options of this program that the file does not set, because their names mean something else to mlogin.
    """

    has_sections = True

    def __init__(
        self,
        prog: str,
        description: str,
        error_status: int = 2,
        *,
        strict: bool = False,
        own: Collection[str] = (),
        **more: Any,
    ) -> None:
        super().__init__(prog, description, error_status, **more)
        self.profile: str | None = None
        self.target: str | None = None
        self._strict = strict
        self._own = own
        self.places: dict[str, list[Place]] = {}
        told = f"the user's config file (default: ~/.config/medusa/config; also by {VARIABLE})"
        self.add_argument("--config", is_config_file=True, env_var=VARIABLE, metavar="FILE", help=told)
        self.add_argument("--profile", metavar="NAME", help="use this profile, a section [NAME] of the config file")

    def parse_known_args(self, args: Any = None, namespace: Any = None, **more: Any) -> Any:
        """Parses like OptionParser, and reads the config file and the chosen profile. `file_for` finds the file."""
        words = sys.argv[1:] if args is None else list(args)
        self.profile = _given(words, "--profile") or self.profile or os.environ.get("MEDUSA_PROFILE") or None
        asks_for_help = "-h" in words or "--help" in words
        if self.profile is not None and self.file_for(words) is None and not asks_for_help:
            self.error(f"there is no profile {printable(self.profile)!r}: {default_file()} does not exist")
        return super().parse_known_args(words, namespace, **more)

    def environment(self) -> dict[str, str]:
        """Returns the variables that may set options.

        If MEDUSA_CONFIG is not set, and the default config file exists, adds MEDUSA_CONFIG with the path of that file.
        """
        variables = super().environment()
        default = default_file()
        if VARIABLE not in variables and default is not None and os.path.exists(default):
            variables[VARIABLE] = default
        return variables

    def file_for(self, words: Sequence[str]) -> str | None:
        """Returns the path of the config file for the command line `words`. None if there is none."""
        file = _given(words, "--config") or self.environment().get(VARIABLE)
        return None if file is None else os.path.expanduser(file)

    def profiles(self, words: Sequence[str]) -> list[str]:
        """Returns the names of the profiles in the config file. Exits if the file is wrong.

        `words`: the command line, which may name the file.
        """
        file = self.file_for(words)
        return [] if file is None else [name for name in self.sections_of(file) if name != COMMON]

    def command_line(self, words: Sequence[str]) -> argparse.Namespace:
        """Returns the options on the command line `words`. Leaves out what variables and the config file set.

        Exits if the options are wrong, or ask for help.
        """
        if "-h" in words or "--help" in words:
            self.parse_args(words)
        return argparse.ArgumentParser.parse_known_args(self, list(words))[0]

    def typed(self, words: Sequence[str]) -> frozenset[str]:
        """Returns the names of the options that are on the command line `words`, with `_` where the options have `-`.

        Positional arguments such as TARGET are always among them.
        """
        unset = _Unset()
        namespace = argparse.Namespace(**{action.dest: unset for action in self._actions})
        found = argparse.ArgumentParser.parse_known_args(self, list(words), namespace)[0]
        return frozenset(dest for dest, value in vars(found).items() if value is not unset)

    def set_by_variables(self) -> dict[str, str]:
        """Returns the options that variables have set: name of the option's attribute -> name of the variable."""
        found = self.get_source_to_settings_dict().get("environment_variables", {})
        return {action.dest: variable for variable, (action, _) in found.items() if action is not None}

    def place_of(self, name: str) -> Place | None:
        """Returns where the config file sets the option `name`. None if its value comes from elsewhere."""
        for source, settings in self.get_source_to_settings_dict().items():
            if source.startswith("config_file|") and name in settings:
                return self.places[name][0]
        return None

    def values_of(self, file: str) -> dict[str, str | list[str]]:
        """Returns the checked values in the common part of a config file, and in the section of the profile."""
        sections = self.sections_of(file)
        if self.profile is not None and self.profile not in sections:
            names = ", ".join(map(printable, filter(None, sections))) or "none at all"
            words = f"{printable(file)}: there is no profile {printable(self.profile)!r}; there are: {names}"
            self.error(words + did_you_mean(self.profile, filter(None, sections)))
        self.target, self.places = None, {}
        found: dict[str, str | list[str]] = {}
        for section in dict.fromkeys((COMMON, self.profile or COMMON)):
            settings = self._without_target(file, section, sections[section])
            found |= self.checked(file, settings)
            self._note_places(file, section, settings)
        return found

    def _note_places(self, file: str, section: str, settings: Iterable[Setting]) -> None:
        """Adds to the attribute `places` where the section sets each option."""
        noted: dict[str, list[Place]] = {}
        for setting in settings:
            action = self.option(setting.key)
            if action is not None:
                count = len(setting.value) if isinstance(setting.value, list) else 1
                noted.setdefault(name_of(action), []).extend([Place(file, section, setting.line)] * count)
        self.places |= noted

    def option(self, key: str) -> argparse.Action | None:
        """Returns the option that `key` of the file sets. None if there is no such option."""
        return None if key in self._own else super().option(key)

    def refuse_key(self, file: str, setting: Setting) -> None:
        """Exits with an error if the parser is strict; otherwise ignores `setting`, whose key is not an option."""
        if self._strict:
            super().refuse_key(file, setting)

    def text_of(self, file: str) -> str:
        """Returns the text of a config file. Exits if the file cannot be read.

        Also exits if it is the default file and all users may write it.
        """
        text = super().text_of(file)
        if file == default_file() and os.stat(file).st_mode & stat.S_IWOTH:
            self.error(f"{printable(file)}: everybody can write it, so it is not read; chmod o-w it")
        return text

    def _without_target(self, file: str, section: str, settings: Sequence[Setting]) -> list[Setting]:
        """Returns `settings` without the key TARGET. Stores the value of this key in the attribute `target`.

        Replaces `~` by the user's home directory in the values of the options PATHS. Exits if TARGET is a common key.
        """
        kept = []
        for setting in settings:
            value = setting.value
            if setting.key != TARGET:
                if setting.key in PATHS and isinstance(value, str) and value.startswith(("~/", "@~/")):
                    value = value.replace("~", os.path.expanduser("~"), 1)
                kept.append(setting._replace(value=value))
            elif section == COMMON:
                self.fault(file, setting, "stands in a profile only, below its [NAME]")
            else:
                self.target = str(value)
                self.places[TARGET] = [Place(file, section, setting.line)]
        return kept


def _given(words: Sequence[str], option: str) -> str | None:
    """Returns the value of `option` on the command line `words`. None if it is not there, or if it has no value."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(option, dest="value")
    try:
        value: str | None = parser.parse_known_args(list(words))[0].value
    except argparse.ArgumentError:
        return None  # the parser of all options says what is wrong
    return value
