"""Types of mlogin's options. Each parses a text, and raises ArgumentTypeError if the text is wrong."""

from __future__ import annotations

import argparse
import os
import urllib.parse
from collections.abc import Iterable
from typing import Any

from medusa.client.outcome import Failure
from medusa.client.session.input.escape import parse_character
from medusa.option_types import duration
from medusa.protocol.channels.kinds import MAX_PATH
from medusa.protocol.printable import printable
from medusa.protocol.resume.offer import MAX_KEEP
from medusa.protocol.session_id import check_name
from medusa.protocol.terminal import environment
from medusa.transports.dial import SECURE


class Pty(argparse.BooleanOptionalAction):
    """The action of the option with the forms -t and --tty, which store True, and -T and --no-tty, which store False.

    The last one on the command line counts, as with ssh.
    """

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, option_string in ("-t", "--tty"))


def escape(text: str) -> tuple[bytes | None]:
    """Returns a tuple that contains the escape character. For the text `none`, the tuple is (None,).

    A tuple is returned because the parser uses None for a missing option.
    """
    try:
        return (parse_character(text),)
    except ValueError as error:
        hint = "; --env NAME=VALUE sets a variable" if "=" in text else ""
        raise argparse.ArgumentTypeError(f"{error}{hint}") from error


def names(text: str) -> list[str]:
    """Splits a list at its commas. Returns the names and patterns of variables in it."""
    words = [word for word in text.split(",") if word]
    for word in words:
        if not environment.PATTERN.fullmatch(word):
            raise argparse.ArgumentTypeError(f"{word!r} is neither a variable's name nor a pattern")
    return words


def variable(text: str) -> tuple[str, str | None]:
    """Returns a pair: the name and the value of a variable.

    `text`: NAME=VALUE; or NAME, for the value in mlogin's own environment. The value is None if the environment has no
    such variable.
    """
    name, equals, value = text.partition("=")
    if not environment.NAME.fullmatch(name):
        # The message does not repeat the value, which may be a secret.
        raise argparse.ArgumentTypeError(f"{printable(name)!r} is no name of a variable; give NAME=VALUE, or NAME")
    if not environment.checked({name: ""}, [name]):
        raise argparse.ArgumentTypeError(f"{name} is never sent to a session")
    return name, value if equals else os.environ.get(name)


def variables(given: Iterable[tuple[str, str | None]]) -> tuple[tuple[str, str], ...]:
    """Returns the variables of all options --env, as pairs of name and value. Leaves out the variables without a value.

    If several options give the same variable, the last one counts.

    Raises Failure if there are too many variables, or if they are too long in total.

    Args:
        given: the name and the value of each variable. The value is None if mlogin's environment has no such variable.
    """
    found = {name: value for name, value in given if value is not None}
    if environment.checked(found, list(found)) != found:
        most = f"{environment.MAX_VARIABLES} variables and {environment.MAX_BYTES // 1024} KiB"
        raise Failure(f"--env: a session takes at most {most}; put the rest into a file that the command reads")
    return tuple(found.items())


def directory(text: str) -> str:
    """Returns `text`, the path of a directory in the job. mlogin cannot check whether that directory exists."""
    if len(text) > MAX_PATH:
        raise argparse.ArgumentTypeError(f"a path has at most {MAX_PATH} characters")
    return text


def session_name(text: str) -> str:
    """Returns `text` unchanged if it can be the name of a session."""
    try:
        return check_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{printable(text)!r}: {error}") from None


def reflector_url(text: str) -> str:
    """Returns `text` unchanged if it is the URL of a reflector."""
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port or (parts.scheme in ("http", "https", "ws", "wss"))
        good = parts.scheme in SECURE and parts.hostname and port
    except ValueError:
        good = False
    # The message does not repeat the text: a password may stand before the @. It may even contain a /.
    if "@" in text:
        raise argparse.ArgumentTypeError(
            "no user name and password, and no other @, may stand in the URL of a reflector"
        )
    if "?" in text:  # the message does not repeat the text here either: the query may be a signature
        raise argparse.ArgumentTypeError("the URL of a reflector has no query: neither ? nor what follows it")
    if not good or parts.fragment:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the http, https, ws or wss URL of a reflector, nor tcp://HOST:PORT"
        )
    return text


def keep(text: str) -> int:
    """Returns the seconds of a time such as `1h`, at most a year."""
    found = duration(text)
    if found > MAX_KEEP:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than a year")
    return found


def count(text: str) -> int:
    """Returns the number in `text`, which must be a whole number above 0."""
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)
