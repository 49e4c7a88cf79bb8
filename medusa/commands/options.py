"""Parses the options of a program: from the command line, the environment (MEDUSA_<OPTION>) and a config file.

An option on the command line overrides the environment, and the environment overrides the config file. A config file
has lines `key = value`, or is one JSON object as in the original Medusa. In keys, `_` and `-` mean the same.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, NoReturn, TextIO

import configargparse

from medusa.protocol.printable import printable
from medusa.service_variables import is_service_variable

LOG_FORMATS = ("json", "console")
LOG_LEVELS = ("debug", "info", "warning", "error")

NOT_IN_A_FILE = ("config", "help", "version")
"""Options that a config file cannot set."""


class OptionParser(configargparse.ArgumentParser):  # type: ignore[misc]
    """A parser of options. Its message on an error in a config file names the file, the key and the reason.

    `error_status`: the exit status after any error of usage, in a config file too.
    """

    def __init__(self, prog: str, description: str, error_status: int = 2, **more: Any) -> None:
        super().__init__(
            prog=prog,
            description=description,
            auto_env_var_prefix="MEDUSA_",
            config_file_parser_class=_ConfigFile,
            config_file_open_func=self._open,
            add_config_file_help=False,
            allow_abbrev=False,
            **more,
        )
        self._error_status = error_status
        self._config_file_parser.owner = self

    def parse_known_args(self, args: Any = None, namespace: Any = None, **more: Any) -> Any:
        """Parses like ConfigArgParse, except that some variables count as unset.

        These are the empty ones, and those by which Kubernetes describes a Service to the containers of a pod.
        """
        more["env_vars"] = {n: v for n, v in os.environ.items() if v and not is_service_variable(n, v)}
        return super().parse_known_args(args, namespace, **more)

    def error(self, message: str) -> NoReturn:
        """Writes an error of usage to stderr, and exits with `error_status`."""
        self._leave(self._error_status, f"{self.prog}: {message}\ntry '{self.prog} --help'\n")

    def complain(self, message: str) -> NoReturn:
        """Writes an error that was found after parsing to stderr, and exits with status 1.

        Args:
            message: the error. If its form is `KEY: REASON`, the name of the file or variable that has set the option
                KEY is written before it.
        """
        self._leave(1, f"{self.prog}: {self._origin(message.partition(': ')[0])}{message}\n")

    def _origin(self, key: str) -> str:
        """Returns the name of the file or variable that has set option `key`, and a colon. "" for the command line."""
        for source, settings in self.get_source_to_settings_dict().items():
            for name, (action, _) in settings.items():
                if action is not None and "--" + key in action.option_strings:
                    place = {"environment_variables": name}.get(source, source.partition("|")[2])
                    return f"{printable(place)}: " if place else ""
        return ""

    def _open(self, file: str) -> TextIO:
        try:
            return open(file, encoding="utf-8")
        except OSError as error:
            self.error(f"{printable(file)}: {error.strerror}")

    def _leave(self, status: int, message: str) -> NoReturn:
        _complain(message)
        raise SystemExit(status)

    def check(self, file: str, key: str, value: object) -> str | list[str]:
        """Checks the value of an option in a config file. Exits if there is no such option, or the value is not valid.

        Returns the value as text. If `value` is a list, and the option may be repeated, returns a list of texts.
        """
        file, key = printable(file), printable(key)
        action = next((a for a in self._actions if "--" + key in a.option_strings), None)
        if action is None or action.dest in NOT_IN_A_FILE:
            self.error(f"{file}: {key}: there is no such option")
        if isinstance(action.nargs, int):  # a flag
            if str(value).lower() not in ("true", "false"):
                self.error(f"{file}: {key}: must be true or false, not {value!r}")
            return str(value).lower()
        if isinstance(value, list) and isinstance(action, argparse._AppendAction):
            return [self._checked(file, key, action, item) for item in value]
        return self._checked(file, key, action, value)

    def _checked(self, file: str, key: str, action: argparse.Action, value: object) -> str:
        try:
            converted = self._get_value(action, str(value))
            self._check_value(action, converted)
        except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
            self.error(f"{file}: {key}: {getattr(error, 'message', error)}")
        return str(value)


def _complain(message: str) -> None:
    """Writes `message` to stderr. If stderr is closed, or takes nothing, writes it to stdout."""
    for name in ("stderr", "stdout"):
        stream = getattr(sys, name)  # None if it was closed when Python started
        try:
            if stream is not None:
                stream.write(message)
                stream.flush()
                return
        except OSError:
            setattr(sys, name, None)  # otherwise Python tries again at its end, and changes the exit status


class _ConfigFile(configargparse.ConfigFileParser):  # type: ignore[misc]
    """A parser of both forms of a config file. `owner` is the parser of options that checks each key and value."""

    owner: OptionParser

    def parse(self, stream: TextIO) -> dict[str, str | list[str]]:
        file = getattr(stream, "name", "config file")
        try:
            text = stream.read()
        except UnicodeDecodeError:
            self.owner.error(f"{file}: not UTF-8 text")
        pairs = self._json(file, text) if text.lstrip().startswith("{") else self._lines(file, text)
        found: dict[str, str | list[str]] = {}
        for name, value in pairs:
            key = name.replace("_", "-")
            if key in found:
                self.owner.error(f"{file}: {printable(key)}: given twice")
            found[key] = self.owner.check(file, key, value)
        return found

    def get_syntax_description(self) -> str:
        return "key = value lines, or one JSON object"

    def _json(self, file: str, text: str) -> list[tuple[str, object]]:
        try:
            return list(json.loads(text, object_pairs_hook=_Pairs))
        except (ValueError, RecursionError) as error:
            self.owner.error(f"{file}: not valid JSON: {error}")

    def _lines(self, file: str, text: str) -> list[tuple[str, object]]:
        pairs: list[tuple[str, object]] = []
        for number, line in enumerate(map(str.strip, text.splitlines()), 1):
            if not line or line.startswith("#"):
                continue
            key, equals, value = line.partition("=")
            if not equals or not key.strip():
                self.owner.error(f"{file}: line {number}: not of the form key = value")
            pairs.append((key.strip(), value.strip()))
        return pairs


class _Pairs(list[tuple[str, object]]):
    """A JSON object as a list of its keys and values. Unlike a dict, the list shows if a key is given twice."""
