"""Parses the options of a program: from the command line, the environment (MEDUSA_<OPTION>) and a config file.

An option on the command line overrides the environment, and the environment overrides the config file.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TextIO

import configargparse

from medusa.commands.options.config_file import COMMON, BadFile, Sections, Setting, parse_config
from medusa.commands.process.streams import complain
from medusa.help_text import HelpParser, Section
from medusa.option_types import did_you_mean
from medusa.protocol.printable import printable
from medusa.service_variables import is_service_variable

PREFIX = "MEDUSA_"
"""The prefix of the variables that set options."""

VARIABLES = "Variables"
"""The title of the section about variables in a program's help text.

`help_sections` adds the variables of all options to this section.
"""

NOT_IN_A_FILE = ("check", "config", "help", "profile", "version")
"""Options that a config file cannot set."""

NO_VARIABLE = ("MEDUSA_CHECK",)
"""Variables that do not set an option, although their names have the form MEDUSA_<OPTION>.

The options of these names can be set on the command line only.
"""


class OptionParser(HelpParser, configargparse.ArgumentParser):  # type: ignore[misc]
    """Parses the options of a program. An error in a config file names the file, the key and the reason.

    `error_status`: the exit status after any error of usage, in a config file too.

    Attributes:
        advise: a function that returns the error for unknown words. Its arguments: this parser, the command line, the
            unknown words, and all options that were found.
    """

    has_sections = False
    """True if the config file may have sections."""

    def __init__(self, prog: str, description: str, error_status: int = 2, **more: Any) -> None:
        super().__init__(
            prog=prog,
            description=description,
            auto_env_var_prefix=PREFIX,
            config_file_parser_class=_ConfigFile,
            config_file_open_func=self._open,
            add_config_file_help=False,
            add_env_var_help=False,
            allow_abbrev=False,
            **more,
        )
        self._error_status = error_status
        self._texts: dict[str, str] = {}
        self.advise = unrecognized
        self._config_file_parser.owner = self

    def parse_known_args(self, args: Any = None, namespace: Any = None, **more: Any) -> Any:
        """Parses like ConfigArgParse, except that some variables count as unset.

        They are the empty variables, and those by which Kubernetes describes a Service to the containers of a pod.
        """
        words = sys.argv[1:] if args is None else list(args)
        asks_for_help = not {"-h", "--help"}.isdisjoint(words)
        more["env_vars"] = variables = {} if asks_for_help else self.environment()
        self._check_variables(words, variables)
        return super().parse_known_args(words, namespace, **more)

    def _check_variables(self, words: Sequence[str], values: Mapping[str, str]) -> None:
        """Exits if a variable has a wrong value for its option. Ignores those that the command line overrides."""
        for name, action in self.variables().items():
            overridden = configargparse.already_on_command_line(words, action.option_strings, self.prefix_chars)
            if name in values and not overridden and action.nargs != 0 and not values[name].startswith("["):
                try:
                    self._check_value(action, self._get_value(action, values[name]))
                except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
                    self.error(f"{name}: {getattr(error, 'message', error)}")

    def parse_args(self, args: Any = None, namespace: Any = None, **more: Any) -> Any:
        """Parses like ConfigArgParse. For unknown words, exits with the error that `advise` returns."""
        words = sys.argv[1:] if args is None else list(args)
        misspelt = self._unknown_options(words)
        if misspelt and any(action.required for action in self._actions):
            self.error(self.advise(self, words, misspelt, None))  # argparse would say that an argument is missing
        given, unknown = self.parse_known_args(words, namespace, **more)
        if unknown:
            self.error(self.advise(self, words, unknown, given))
        return given

    def _unknown_options(self, words: Sequence[str]) -> list[str]:
        """Returns the words before `--` that have the form of a long option and are no option of this program."""
        own = words[: words.index("--")] if "--" in words else words
        return [w for w in own if w.startswith("--") and w.partition("=")[0] not in self._option_string_actions]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raises ArgumentError if the option does not allow this value. The text suggests a similar value."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += did_you_mean(str(value), map(str, action.choices or ()))
            raise

    def environment(self) -> dict[str, str]:
        """Returns the variables that may set options.

        Leaves out those in NO_VARIABLE, empty ones, and those by which Kubernetes describes a Service.
        """
        return {
            name: value
            for name, value in os.environ.items()
            if value and name not in NO_VARIABLE and not is_service_variable(name, value)
        }

    def variables(self) -> dict[str, argparse.Action]:
        """Returns the variables that set options: name -> option."""
        named = [(self._variable(action), action) for action in self._actions if action.help != argparse.SUPPRESS]
        return {name: action for name, action in named if name}

    def _variable(self, action: argparse.Action) -> str:
        name = next((option for option in action.option_strings if option.startswith("--")), None)
        if name is None or action.dest in ("help", "version"):
            return ""
        variable = getattr(action, "env_var", None) or PREFIX + name[2:].upper().replace("-", "_")
        return "" if variable in NO_VARIABLE else str(variable)

    def help_sections(self) -> list[Section]:
        """Returns the sections of the help text.

        The section `Variables` begins with the names of the variables that set options.
        """
        names = sorted(self.variables())
        rule = "Each option has a variable, which the command line overrides: " + ", ".join(names) + "."
        return [
            s._replace(text=f"{rule} {s.text}".strip()) if s.title == VARIABLES and names else s for s in self.sections
        ]

    def error(self, message: str) -> NoReturn:
        """Writes an error of usage to stderr, and exits with `error_status`."""
        self._leave(self._error_status, f"{self.prog}: {message}\ntry '{self.prog} --help'\n")

    def complain(self, message: str) -> NoReturn:
        """Writes an error that was found after parsing to stderr, and exits with status 1.

        Args:
            message: the error. If it has the form `KEY: REASON`, the source of the option KEY is written before it. The
                source is the name of a config file or of a variable.
        """
        self._leave(1, f"{self.prog}: {self.origin(message)}{message}\n")

    def origin(self, message: str) -> str:
        """Returns the source of a wrong option, as a text to write before the error: `FILE: ` or `VARIABLE: `.

        Returns "" if neither a config file nor a variable has set the option.

        Args:
            message: the error. It is about the option KEY if its form is `KEY: REASON`. For any other form, returns "".
        """
        key = message.partition(": ")[0]
        for source, settings in self.get_source_to_settings_dict().items():
            for name, (action, _) in settings.items():
                if action is not None and "--" + key in action.option_strings:
                    place = {"environment_variables": name}.get(source, source.partition("|")[2])
                    return f"{printable(place)}: " if place else ""
        return ""

    def _open(self, file: str) -> TextIO:
        stream = io.StringIO(self.text_of(file))
        stream.name = file
        return stream

    def text_of(self, file: str) -> str:
        """Returns the text of a config file. Exits if the file cannot be read.

        Reads each file only once, because it may be a pipe.
        """
        if file not in self._texts:
            try:
                with open(file, encoding="utf-8-sig") as stream:
                    self._texts[file] = stream.read()
            except UnicodeDecodeError:
                self.error(f"{printable(file)}: not UTF-8 text")
            except (OSError, ValueError) as error:
                self.error(f"{printable(file)}: {getattr(error, 'strerror', None) or error}")
        return self._texts[file]

    def sections_of(self, file: str) -> Sections:
        """Returns the settings in a config file: name of the section -> settings. Exits if the file is malformed."""
        try:
            return parse_config(self.text_of(file), sections=self.has_sections)
        except BadFile as error:
            self.error(f"{printable(file)}: {error}")

    def _leave(self, status: int, message: str) -> NoReturn:
        complain(message)
        raise SystemExit(status)

    def values_of(self, file: str) -> dict[str, str | list[str]]:
        """Returns the values in a config file: name of the option -> value.

        Exits if a value is wrong, or if there is no option for a key.
        """
        return self.checked(file, self.sections_of(file)[COMMON])

    def checked(self, file: str, settings: Iterable[Setting]) -> dict[str, str | list[str]]:
        """Returns the values of `settings`: name of the option -> value.

        A value is a text, or a list of texts if the option may be repeated. Exits if a value is wrong, or if there is
        no option for a key.
        """
        found: dict[str, str | list[str]] = {}
        for setting in settings:
            action = self.option(setting.key)
            if action is None:
                self.refuse_key(file, setting)
                continue
            name, value = name_of(action), self._checked(file, setting, action)
            before = found.get(name, [])
            if name in found and not (isinstance(before, list) and isinstance(value, list)):
                self.fault(file, setting, "given twice")
            found[name] = [*before, *value] if isinstance(value, list) else value
        return found

    def option(self, key: str) -> argparse.Action | None:
        """Returns the option that `key` of a config file sets. None if there is no such option."""
        action = next((a for a in self._actions if "--" + key in a.option_strings), None)
        return None if action is None or action.dest in NOT_IN_A_FILE else action

    def refuse_key(self, file: str, setting: Setting) -> None:
        """Exits with an error that says that there is no option for the key of `setting`.

        `file`: the config file that has this setting.
        """
        keys = [name[2:] for name in self._option_string_actions if name.startswith("--")]
        known = [key for key in keys if self.option(key) is not None]
        self.fault(file, setting, "there is no such option", did_you_mean(setting.key, known))

    def fault(self, file: str, setting: Setting, reason: str, hint: str = "") -> NoReturn:
        """Writes an error in a config file to stderr, with file, key, line and hint, and exits with `error_status`."""
        line = "" if setting.line is None else f" (line {setting.line})"
        self.error(f"{printable(file)}: {printable(setting.key)}: {reason}{line}{hint}")

    def _checked(self, file: str, setting: Setting, action: argparse.Action) -> str | list[str]:
        value = setting.value
        if isinstance(action.nargs, int):  # a flag
            text = str(value).lower()
            if text not in ("true", "false"):
                self.fault(file, setting, f"must be true or false, not {value!r}")
            negated = isinstance(action, argparse.BooleanOptionalAction) and setting.key.startswith("no-")
            return {"true": "false", "false": "true"}[text] if negated else text
        if isinstance(action, argparse._AppendAction):
            items = value if isinstance(value, list) else [value]
            return [self._valid(file, setting, action, item) for item in items]
        return self._valid(file, setting, action, value)

    def _valid(self, file: str, setting: Setting, action: argparse.Action, value: object) -> str:
        try:
            converted = self._get_value(action, str(value))
            self._check_value(action, converted)
        except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
            self.fault(file, setting, str(getattr(error, "message", error)))
        return str(value)


def unrecognized(parser: argparse.ArgumentParser, words: Sequence[str], unknown: Sequence[str], given: Any) -> str:
    """Returns the error for words that a program does not understand. It names the first word, without its value."""
    name = unknown[0].partition("=")[0] if unknown[0].startswith("-") else unknown[0]
    hint = did_you_mean(name, parser._option_string_actions) if name.startswith("-") else ""
    return f"unrecognized arguments: {printable(name)}{hint}"


def name_of(action: argparse.Action) -> str:
    """Returns the name of an option: its first long form, without the dashes."""
    return next((form[2:] for form in action.option_strings if form.startswith("--")), action.dest)


class _ConfigFile(configargparse.ConfigFileParser):  # type: ignore[misc]
    """Reads a config file for ConfigArgParse. `owner` is the parser of options that checks each key and value."""

    owner: OptionParser

    def parse(self, stream: TextIO) -> dict[str, str | list[str]]:
        return self.owner.values_of(stream.name)

    def get_syntax_description(self) -> str:
        return "key = value lines, or one JSON object"
