"""Finds escape sequences that a terminal emulator answers as if the user had typed, and finds these answers."""

from __future__ import annotations

import re
from typing import Match

_WITH_ANSWER = re.compile(
    rb"(?P<osc>\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
    rb"|\x1bP[$+]q[^\x1b]*\x1b\\"  # asks for a terminfo entry (+) or a setting ($)
    rb"|\x1b_G[^\x1b]*\x1b\\"  # shows a picture (kitty): the emulator confirms it
    rb"|\x1b\[(?:[>=]?[0-9;]*c|\??[0-9;]*(?:n|\$p|i)|[01]?x|>[0-9]*q|\?u|[0-9;]*\*y|\?[0-9;]*S)"
    rb"|\x1b\[(?:1[1-9]|2[01])(?:;[0-9]*)*t"
    rb"|\x1bZ|[\x05\x07]"
)
_OSC_WITH_ANSWER = re.compile(rb"\x1b\](?:(?:[45]|1[0-9]|21);[^\x07\x1b]*\?|(?:9|52|99|777);)")

_ANSWERS = re.compile(
    rb"\x1b\[(?:[?>=]?[0-9;]*[cnR]|[IO]|\?[0-9;]*(?:\$y|u)|[0-9;]*t)"
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1bP[^\x1b]*\x1b\\"
)


def without_queries(output: bytes) -> bytes:
    """Returns old output without queries, bells, notifications and changes of the clipboard.

    If an emulator is shown a query in old output, it sends an answer, but the program does not wait for it any more.
    """
    return _WITH_ANSWER.sub(_kept, output)


def is_typed(data: bytes) -> bool:
    """True if the user has typed something: if `data` is more than the emulator's answers and focus reports.

    Args:
        data: bytes that the user's terminal emulator has sent.
    """
    return bool(_ANSWERS.sub(b"", data))


def _kept(found: Match[bytes]) -> bytes:
    return found["osc"] if found["osc"] and not _OSC_WITH_ANSWER.match(found["osc"]) else b""
