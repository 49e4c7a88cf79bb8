"""The words that may follow the host in a greeting of raw TCP. Each stands for a header field of HTTP. No I/O."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from medusa.protocol.errors import HandshakeError
from medusa.protocol.features import ABOUT, FORBID, HEADER, INCARNATION, JOIN, KEPT, LEG, TICKET
from medusa.protocol.http.own_header import Field

WORDS: Dict[str, Tuple[str, str]] = {
    "features": (HEADER, "[a-z0-9,-]{1,200}"),
    "join": (JOIN, "1"),
    "leg": (LEG, "[0-9a-f]{32}"),
    "hold": (KEPT, "[0-9]{1,9}"),
    "ticket": (TICKET, "[A-Za-z0-9_.-]{1,512}"),
    "incarnation": (INCARNATION, "[0-9a-f]{32}"),
    "forbid": (FORBID, "[a-z,]{1,64}"),
    "about": (ABOUT, r"[\x21-\x7e]{1,1024}"),
}
"""The words: name -> (header field, pattern of the value). They come in any order, each at most once."""

_FIRST = frozenset((HEADER,))
"""The fields whose words came first. A reflector that knows any words knows these. The oldest reflectors know none."""

_NEEDED = frozenset((JOIN, LEG, TICKET))
"""The fields that must not be left out for an older reflector: without them the greeting would mean something else."""

UNKNOWN = "not a greeting"
"""The beginning of the reason, with status 400, if a raw port refuses a greeting because it does not know its form."""

TOO_OLD = "the reflector is too old: its raw port does not let another client join a session"

NO_TICKETS = "the reflector is too old: its raw port knows no tickets"


def parse_words(words: Iterable[str]) -> Optional[Tuple[Field, ...]]:
    """Returns the header fields, as (name, value), that `words` stand for.

    Returns None if a word is unknown, has an illegal value, or comes twice.
    """
    fields: Dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        field, pattern = WORDS.get(name, ("", ""))
        if not field or field in fields or not re.fullmatch(pattern, value):
            return None
        fields[field] = value
    return tuple(fields.items())


def build_words(headers: Iterable[Field]) -> str:
    """Returns the words for `headers`, with a space before each word. Leaves out header fields that have no word."""
    names = {field: name for name, (field, _) in WORDS.items()}
    return "".join(" %s=%s" % (names[field], value) for field, value in headers if field in names)


def older_headers(headers: Sequence[Field], status: Optional[int], reason: str) -> Optional[List[Field]]:
    """Returns the header fields for a second greeting, after the first one was refused.

    An older reflector refuses a greeting with a word that it does not know. So the second greeting has fewer words.

    Args:
        headers: (name, value) of the header fields of the first greeting.
        status: the status of the refusal. None if there was no answer.
        reason: the words of the refusal.

    Returns:
        The fields of the first greeting, without those that an older reflector may not know. None if a second greeting
        would not help.

    Raises:
        HandshakeError: the reflector does not know a word that the greeting needs to keep its meaning.
    """
    given = {name for name, _ in headers}
    newest = given & {field for field, _ in WORDS.values()}
    newest = newest - _FIRST or newest
    if status != 400 or not newest:
        return None
    if newest & _NEEDED:
        if reason.startswith(UNKNOWN):
            raise HandshakeError(400, NO_TICKETS if TICKET in newest else TOO_OLD)
        return None
    return [(name, value) for name, value in headers if name not in newest]
