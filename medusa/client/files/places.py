"""What the command line of `medusa cp` names: paths on this machine, and paths in a session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """A path that the user has named.

    Attributes:
        session: the session that has it; None for a path on this machine.
        path: the path, in bytes.
    """

    session: str | None
    path: bytes


class Copy(NamedTuple):
    """What to copy.

    Attributes:
        session: the session at one of the two ends.
        uploads: True to copy into the session, False to copy from it.
        sources: the paths to copy.
        target: the path to copy to.
    """

    session: str
    uploads: bool
    sources: tuple[bytes, ...]
    target: bytes


def parse_place(word: str) -> Place:
    """Returns what a word of the command line names.

    As with scp, a word with a colon before the first slash is a path in a session. `./a:b` is a file here.
    """
    session, colon, path = word.partition(":")
    if not colon or "/" in session or not session:
        return Place(None, os.fsencode(word))
    return Place(session, os.fsencode(path) or b".")


def parse_copy(words: Sequence[str]) -> Copy:
    """Returns what the words of the command line ask for: the sources, and the target, which is last.

    Raises:
        ValueError: not exactly one of the two sides is in a session. The text says what is wrong.
    """
    if len(words) < 2:
        raise ValueError("what to copy, and where to? medusa cp SRC... DST")
    if "" in words:
        raise ValueError("one of the paths is empty")
    *sources, target = map(parse_place, words)
    sessions = {place.session for place in sources}
    if len(sessions) > 1:
        raise ValueError("all sources must be on one side: on this machine, or in one session")
    (source,) = sessions
    if (source is None) is (target.session is None):
        both = "on this machine: put SESSION: before the path in the job" if source is None else "in sessions"
        raise ValueError(f"both sides are {both}")
    session = source if source is not None else target.session
    assert session is not None
    return Copy(session, source is None, tuple(place.path for place in sources), target.path)


def base_name(path: bytes) -> bytes:
    """Returns the name that a copy of `path` gets in a directory; b"." if its contents go there, as for `.`."""
    name = os.path.basename(path.rstrip(b"/"))
    return b"." if name in (b"", b".", b"..") else name
