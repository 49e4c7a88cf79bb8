"""Makes the errors for words that mlogin does not understand, and the help for one launcher."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

from medusa.client import launchers
from medusa.client.outcome import Failure
from medusa.commands.options.parser import unrecognized
from medusa.option_types import DID_YOU_MEAN
from medusa.protocol.printable import printable

if TYPE_CHECKING:
    from medusa.client.launchers.base import Launcher

HELP_OPTIONS = ("-h", "--help")

SHARED = ("-i", "-n", "-N", "-q", "-t", "-T")
"""Options that take no value in mlogin, but take a value or have another meaning in programs of launchers."""

NODES = "-N"
"""An option of mlogin without a value. With a number, it is one of Slurm's: how many nodes the job is to have."""

FOR_A_MANTA = ("--disk", "--memory", "--init", "--image", "--asset", "--assets", "--agent-object")
"""Options for the jobs of a Manta. Programs of other launchers have options of the same names."""

_LAUNCHER = "--launcher"

MANTA = "manta"

_ELSEWHERE = "options of a job system go after --, as in"


def launcher_help(words: Sequence[str]) -> str | None:
    """Returns the help for the launcher that the command line `words` names.

    Returns None if `words` does not ask for help, or names no launcher. Raises Failure if there is no such launcher.
    """
    named = _named(words) if set(HELP_OPTIONS) & set(words) else None
    if named is None:
        return None
    try:
        text = launchers.find(named).help().rstrip()
    except Exception as error:  # of a launcher of another package
        if isinstance(error, Failure):
            raise
        raise Failure(f"the launcher `{printable(named)}` has no help: {printable(repr(error))}") from error
    return f"{text}\n\nAll other options: mlogin --help"


def complaint(
    parser: argparse.ArgumentParser, words: Sequence[str], unknown: Sequence[str], given: SimpleNamespace
) -> str:
    """Returns the error for words that mlogin does not understand, with advice.

    The value of an unknown option may be a secret, so the error does not repeat it. There is one exception: the error
    repeats the value if the launcher's own program has this option.

    Args:
        parser: the parser of mlogin's options.
        words: the command line up to `--`.
        unknown: the words that mlogin does not understand, in their order.
        given: the options that were found.
    """
    launcher = _found(_named(words) or given.launcher)
    if not unknown[0].startswith("-"):
        return _too_many(parser, words, unknown, launcher)
    text = unrecognized(parser, words, unknown, given)
    if launcher is None:
        return text if DID_YOU_MEAN in text else f"{text}\n  {_ELSEWHERE}: mlogin slurm: -- --partition gpu"
    if not launcher.options_of:
        return text
    others = f"\n  options of {launcher.options_of} go after --"
    name = unknown[0].partition("=")[0]
    if DID_YOU_MEAN in text and not _has(launcher, name):
        return text + others
    text = f"unrecognized arguments: {printable(name)}{others}"  # the launcher has an option of this name
    kept, moved = _divided(words, unknown)
    if _read(parser, kept).object is None and _read(parser, words).object is not None and launcher.target == "object":
        kept.append(moved.pop())  # no other word is left that could be the TARGET
    return f"{text}: {printable(f'{_job(parser, kept)} -- {shlex.join(moved)}', 1000)}"


def misplaced(parser: argparse.ArgumentParser, words: Sequence[str]) -> str | None:
    """Returns an error if an option in `words` is for Manta jobs (FOR_A_MANTA), and the launcher is for another system.

    The error tells the user to write the options of the launcher's program after `--`. Returns None if `words` has no
    option for Manta jobs or names no launcher. Also returns None if the launcher's program takes no options.

    Args:
        words: the command line up to `--`.
    """
    wrong = [word for word in words if word.partition("=")[0] in FOR_A_MANTA]
    launcher = _found(_named(words)) if wrong else None
    if launcher is None or launcher.name == MANTA or not launcher.options_of:
        return None
    name = wrong[0].partition("=")[0]
    text = f"{name} means nothing to the launcher `{launcher.name}`: before -- it is for jobs of a Manta"
    text += f"\n  options of {launcher.options_of} go after --"
    if not _has(launcher, name):
        return text
    kept, moved = _divided(words, wrong)
    return f"{text}: {printable(f'{_job(parser, kept)} -- {shlex.join(moved)}', 1000)}"


def _has(launcher: type[Launcher], name: str) -> bool:
    """Returns True if the launcher's help mentions an option of this name."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", launcher.help()) is not None


def _too_many(
    parser: argparse.ArgumentParser, words: Sequence[str], unknown: Sequence[str], launcher: type[Launcher] | None
) -> str:
    """Returns the error for the first unknown word, which is not an option and looks like a second TARGET.

    The user may have meant a command, or a host or job of the launcher. The error shows how to write that.
    """
    at, target = _place(words, unknown), _read(parser, words).object
    if launcher is None and target in (*launchers.names(), *launchers.SHORT):
        rest = ["-c", " ".join(words[at + 1 :])] if words[at + 1 :] else []
        named = shlex.join(["mlogin", f"{target}:{words[at]}", *rest])
        return f"a launcher's name ends in a colon: {printable(named, 1000)}"
    text = f"unrecognized arguments: {printable(unknown[0])}"
    others = f"\n  options of {launcher.options_of} go after --" if launcher and launcher.options_of else ""
    if others and words[at - 1] in SHARED and not words[at + 1 :]:
        return f"{text}{others}: {printable(f'{_job(parser, words[: at - 1])} -- {shlex.join(words[at - 1 :])}', 1000)}"
    command = f"{_job(parser, words[:at])} -c {shlex.quote(' '.join(words[at:]))}"
    return f"{text}\n  a command is given by -c: {printable(command, 1000)}{others}"


def _named(words: Sequence[str]) -> str | None:
    """Returns the name of the launcher. It comes from --launcher, or else from a TARGET of the form LAUNCHER:WORD.

    Returns None if `words` names no launcher.
    """
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word == _LAUNCHER or word.startswith(_LAUNCHER + "="):
            return word.partition("=")[2] or after
    return next(filter(None, map(launchers.of_target, words)), None)


def _found(name: str | None) -> type[Launcher] | None:
    try:
        return None if name is None else launchers.find(name)
    except Failure:
        return None  # another message tells of it


def _place(words: Sequence[str], unknown: Sequence[str]) -> int:
    """Returns the index in `words` of the first unknown word."""
    for at in reversed(range(len(words))):
        rest = iter(words[at:])
        if words[at] == unknown[0] and all(word in rest for word in unknown):
            return at
    return len(words)


def _divided(words: Sequence[str], unknown: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns two lists: the words for mlogin, and the words for the launcher's program.

    The program gets the options `unknown`. With each of them it gets the next word, if that may be the option's value.
    """
    kept: list[str] = []
    moved: list[str] = []
    takes = False
    for word, after in zip(words, [*words[1:], ""], strict=True):
        is_option = word.startswith("-")
        if is_option and (word in unknown or (word == NODES and after.isdecimal())):
            moved.append(word)
            takes = "=" not in word
        elif takes and not is_option:
            moved.append(word)
            takes = False
        else:
            kept.append(word)
            takes = False
    return kept, moved


def _job(parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """Returns a command line with only those of `words` that say which job is meant: TARGET, --launcher and --job."""
    given = _read(parser, words)
    named = [("--launcher", given.launcher), ("--job", given.job)]
    options = [word for option, value in named if value is not None for word in (option, value)]
    target = [] if given.object is None else [given.object]
    return shlex.join(["mlogin", *options, *target])


def _read(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Returns the options on the command line `words`. Leaves out what variables and the config file set."""
    return argparse.ArgumentParser.parse_known_args(parser, list(words))[0]
