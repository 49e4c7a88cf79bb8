"""Types of mlogin's options. Each parses a text, and raises ArgumentTypeError if the text is wrong."""

from __future__ import annotations

import argparse
import urllib.parse

from medusa.client.session.input.escape import parse_character
from medusa.protocol.terminal import environment
from medusa.transports.dial import SECURE


def escape(text: str) -> tuple[bytes | None]:
    """Returns the escape character in a tuple. The text `none` becomes (None,), so it differs from a missing option."""
    try:
        return (parse_character(text),)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def names(text: str) -> list[str]:
    """Returns the names and patterns of variables in a list separated by commas."""
    words = [word for word in text.split(",") if word]
    for word in words:
        if not environment.PATTERN.fullmatch(word):
            raise argparse.ArgumentTypeError(f"{word!r} is neither a variable's name nor a pattern")
    return words


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


def count(text: str) -> int:
    """Returns the number in `text`, which must be a whole number above 0."""
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)
