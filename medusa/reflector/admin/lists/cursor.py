"""Where the next page of a list of sessions begins, as a text that the client sends back. No I/O."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import urllib.parse
from typing import NamedTuple

from medusa.protocol.attach_path import LOGIN
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import Request
from medusa.reflector.admin.lists.pages import MAX_PAGE, Query

HEADER = "Medusa-Page"
"""The header field that says which page of a list a request asks for.

Programs send it in the place of a query, because earlier reflectors refuse signed requests with a query.
"""

MAX_SILENT = 128
"""The maximum number of reflectors that do not answer, of which a cursor tells."""

_LOGIN = re.compile(rf"(?:{LOGIN})?\Z")
_LIMIT = re.compile(r"[1-9][0-9]{0,8}\Z")


class Cursor(NamedTuple):
    """Where the next page of a list begins.

    A list has two sections: the sessions that the reflectors tell, in the order of their keys; and the rows in the
    directory that belong to reflectors which do not answer, in the order of the directory.

    Attributes:
        after: the key after which the first section goes on; None after its end.
        row: where the second section goes on; see Directory.scan.
        silent: the marks of the reflectors that did not answer; see `mark`. They are not asked again: what they tell
            would not be complete.
    """

    after: str | None = ""
    row: str = ""
    silent: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Returns the cursor as a text that fits into the query of a URL."""
        text = json.dumps([self.after, self.row, "".join(self.silent)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Parses a text that `str(cursor)` has made. Raises HandshakeError (400) for another text."""
        try:
            after, row, silent = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            "".join(("" if after is None else after, row, silent)).encode()
        except (ValueError, TypeError, RecursionError):
            raise HandshakeError(400, "no such cursor") from None
        return cls(after, row, tuple(silent[at : at + 8] for at in range(0, len(silent), 8)))


@functools.lru_cache(1024)
def mark(address: str) -> str:
    """Returns a short mark for a reflector. A user may see it: the address cannot be read from it."""
    return hashlib.sha256(address.encode()).hexdigest()[:8]


def asked(request: Request) -> tuple[Query, Cursor, bool]:
    """Returns what a request for a list asks for: the query, where the page begins, and whether it wants pages.

    The fields `login`, `id` (the beginning of the ids), `after` (a key), `limit` and `cursor` are in the header field
    HEADER, or if there is none, in the query of the request's target. Unknown fields are ignored.

    Raises HandshakeError (400) if a field is malformed.
    """
    text = request.headers.get(HEADER.lower())
    if text is None:
        text = request.target.partition("?")[2]
    fields = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    login, limit = fields.get("login"), fields.get("limit", str(MAX_PAGE))
    if (login is not None and not _LOGIN.match(login)) or not _LIMIT.match(limit):
        raise HandshakeError(400, "login or limit is malformed")
    query = Query(login, fields.get("id", ""), fields.get("after", ""), min(MAX_PAGE, int(limit)))
    return query, Cursor.read(fields["cursor"]) if fields.get("cursor") else Cursor(), "limit" in fields
