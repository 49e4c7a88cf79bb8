"""Makes the completions of bash, zsh and fish, by shtab, from the parsers of options.

The metavar of an option decides what completes its value: files, directories or the names of profiles. The names of
launchers complete --launcher.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import shtab

from medusa.client import launchers
from medusa.help_text import HelpParser

PLACES = {
    "bash": "share/bash-completion/completions/{}",
    "zsh": "share/zsh/site-functions/_{}",
    "fish": "share/fish/vendor_completions.d/{}.fish",
}
"""Where each shell looks for the completion of a program, below the prefix of an installation."""

_NAMES = r"""sed -n 's/^[[:space:]]*\[[[:space:]]*\([^][[:space:]]*\)[[:space:]]*\].*/\1/p' \
    "${MEDUSA_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/medusa/config}" 2>/dev/null"""
"""Prints the names of the profiles in the user's config file: commands for sh."""

_COMPADD = f'compadd "$@" -- ${{(f)"$({_NAMES})"}}'
_IN_FISH = "sh -c " + shlex.quote(_NAMES).replace("'\"'\"'", r"\'")

_PROFILES = {
    "bash": "_medusa_profiles",
    "zsh": "_medusa_profiles",
    "fish": "(_medusa_profiles)",
    "preamble": {
        "bash": f'_medusa_profiles() {{\n  compgen -W "$({_NAMES})" -- "$1"\n}}',
        "zsh": f"_medusa_profiles() {{\n  {_COMPADD}\n}}",
        "fish": f"function _medusa_profiles\n  {_IN_FISH}\nend",
    },
}

_LAUNCHERS = " ".join(f"{name}:" for name in sorted({*launchers.names(), *launchers.SHORT}))

_TARGETS = {
    "bash": "_medusa_targets",
    "zsh": "_medusa_targets",
    "fish": "(_medusa_targets)",
    "preamble": {
        "bash": f'_medusa_targets() {{\n  compgen -W "{_LAUNCHERS} $({_NAMES})" -- "$1"\n}}',
        "zsh": f'_medusa_targets() {{\n  compadd "$@" -S "" -- {_LAUNCHERS}\n  {_COMPADD}\n}}',
        "fish": f"function _medusa_targets\n  printf '%s\\tlauncher\\n' {_LAUNCHERS}\n  {_IN_FISH}\nend",
    },
}

_KINDS: dict[str | None, Any] = {
    "FILE": shtab.FILE,
    "KEY": shtab.FILE,
    "DIR": shtab.DIRECTORY,
    "TARGET": _TARGETS,
    "PROFILE": _PROFILES,
}
"""What completes a value, by its metavar."""


_IN_BASH = """

# bash divides `--launcher=ssh` at `=`. What follows `ssh:` belongs to the same word.
_medusa_{prog}() {{
  local -a words=()
  local at cword=$COMP_CWORD
  for at in "${{!COMP_WORDS[@]}}"; do
    if [[ ${{COMP_WORDS[at]}} != = ]]; then
      words+=("${{COMP_WORDS[at]}}")
    elif (( at == COMP_CWORD )); then
      words+=("")
    elif (( at < COMP_CWORD )); then
      (( cword-- ))
    fi
  done
  local -a COMP_WORDS=("${{words[@]}}")
  local COMP_CWORD=$cword
  _shtab_{prog} "$@"
  if [[ ${{#COMPREPLY[@]}} = 1 && ${{COMPREPLY[0]}} = *: ]]; then compopt -o nospace; fi
}}
complete -o bashdefault -F _medusa_{prog} {prog}
"""


def with_commands(prog: str, commands: Mapping[str, HelpParser], helps: Mapping[str, str]) -> argparse.ArgumentParser:
    """Returns one parser for a program with commands, each with its own options."""
    whole = argparse.ArgumentParser(prog)
    whole.add_argument("-V", "--version", action="store_true", help="show the version")
    parsers = whole.add_subparsers()
    for name, parser in commands.items():
        parsers.add_parser(name, parents=[parser], add_help=False, help=helps[name])
    return whole


def completion(shell: str, parser: argparse.ArgumentParser) -> str:
    """Returns the completion script of a program for a shell. Shortens the help texts in `parser`."""
    for action in _actions(parser):
        action.help = brief(action.help)
        kind = _words(launchers.names()) if action.dest == "launcher" else _KINDS.get(_metavar(action))
        if kind:
            vars(action)["complete"] = kind  # where shtab looks
    script: str = shtab.complete(parser, shell)
    if shell == "bash":
        return script + _IN_BASH.format(prog=parser.prog)
    return re.sub(r"^  .*?\[.*\]:.*$", _with_equals, script, flags=re.MULTILINE) if shell == "zsh" else script


def _with_equals(spec: re.Match[str]) -> str:
    """Adds `=` to the long names in the text that describes an option with a value to zsh.

    Then zsh completes not only `--launcher ssh` but also `--launcher=ssh`.
    """
    names, bracket, meaning = spec[0].partition("[")
    return re.sub(r"(--[\w-]+)", r"\1=", names) + bracket + meaning


def _metavar(action: argparse.Action) -> str | None:
    return "PROFILE" if action.dest == "profile" else str(action.metavar)


def _words(words: Sequence[str]) -> Any:
    return shtab.cmd(rf"printf '%s\n' {shlex.join(words)}")


def brief(text: str | None) -> str | None:
    """Returns the beginning of a help text, for a list of options."""
    return text if text == argparse.SUPPRESS else re.split(r"[;:.,] | \(", text or "")[0]


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [inner for one in action.choices.values() for inner in _actions(one)]
    return found
