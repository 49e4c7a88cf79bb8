"""Types of command-line options, and hints for misspelt words, for the parsers of all programs."""

from __future__ import annotations

import argparse
import re
from typing import Iterable

_ALIKE, _VERY_ALIKE = 0.65, 0.73
"""The least similarity of a misspelt word and the name that a hint proposes. The similarity of equal words is 1.

_VERY_ALIKE applies if the two begin with different letters, _ALIKE if they begin with the same letter.
"""

DID_YOU_MEAN = "; did you mean "
"""How a hint begins."""

LONGEST = 1e9
"""The limit of a number of seconds, about 30 years. Larger times would overflow in some functions."""


def seconds(text: str) -> float:
    """Parses a number of seconds: 0 or more, with or without a fraction. Raises ArgumentTypeError if it is not one."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < LONGEST:
        raise argparse.ArgumentTypeError("%r is not a number of seconds" % text)
    return value


def duration(text: str) -> int:
    """Returns the seconds in a time such as `90`, `90s`, `5m`, `1h30m` or `2d`. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?", text.strip(), re.ASCII)
    if found is None or not any(found.groups()):
        raise argparse.ArgumentTypeError("%r is not a time such as 90s, 5m, 1h or 2d" % text)
    days, hours, minutes, rest = (int(number or 0) for number in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns the text `; did you mean NAME?`, to be added to an error about `word`. Returns "" if no name is similar.

    NAME is the name in `known` that is most similar to `word`; see `closest`.
    """
    found = closest(word, known)
    return "%s%s?" % (DID_YOU_MEAN, found) if found else ""


def with_hint(message: str, parser: argparse.ArgumentParser) -> str:
    """Returns `message`, an error of argparse. If it names unknown options, adds a hint for the first of them.

    The hint is made by `did_you_mean`. The values of the unknown options (`--option=VALUE`) are left out, because they
    may be secrets.
    """
    before, found, words = message.partition("unrecognized arguments: ")
    names = [word.partition("=")[0] if word.startswith("-") else word for word in words.split(" ")]
    if not found or not names[0].startswith("-"):
        return message
    return before + found + " ".join(names) + did_you_mean(names[0], parser._option_string_actions)


def closest(word: str, known: Iterable[str]) -> str:
    """Returns the name in `known` that the misspelt `word` most probably means; "" if no name is similar enough.

    If only one name begins with `word`, returns this name. Ignores hyphens at the start, and upper and lower case.
    """
    names = {name.lstrip("-").lower(): name for name in known}
    meant, found = word.lstrip("-").lower(), ""
    begun = [name for name in names if len(meant) > 1 and name.startswith(meant)]
    if len(begun) == 1 or meant in names:
        found = meant if meant in names else begun[0]
    elif meant:
        import difflib  # slow to load, and rarely needed

        same = [name for name in names if name[:1] == meant[0]]
        close = [*difflib.get_close_matches(meant, names, 1, _VERY_ALIKE)]
        found = (close or [*difflib.get_close_matches(meant, same, 1, _ALIKE), ""])[0]
    return names[found] if found else ""
