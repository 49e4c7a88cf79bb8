"""Checks the beginning of a request's head, to find out early that the head can never be legal. No I/O.

Without this check, a peer that has sent such a beginning would get no answer until a time limit ends the wait.
"""

from __future__ import annotations

import re

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.head import MAX_HEADERS, MAX_LINE, parse_request

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE = re.compile(rb"(?:%s+(?: (?:[\x21\x22\x24-\x7e]+(?: [\x21-\x7e]*)?)?)?)?\Z" % _TOKEN)
_FIELD = re.compile(rb"(?:%s+(?::[\t\x20-\x7e\x80-\xff]*)?)?\Z" % _TOKEN)
"""Regular expressions that match each beginning of a legal request line (_REQUEST_LINE) or header field (_FIELD)."""


class EarlyCheck:
    """Checks the head of one request while it arrives in pieces.

    Each line is checked once when it is whole. The unfinished last line is checked anew in each call of `check`.
    """

    def __init__(self) -> None:
        self._checked = 0  # the bytes of the lines that were checked: they are not checked again

    def check(self, data: bytes) -> None:
        """Checks the beginning of a head. `data`: all bytes of the head that have come so far.

        Raises:
            HandshakeError: with status 400, because no legal head begins with `data`.
        """
        if data.count(b"\r\n") > MAX_HEADERS + 1:
            raise HandshakeError(400, "more than %d headers" % MAX_HEADERS)
        end = data.rfind(b"\r\n", self._checked)
        if end >= 0:
            self._check_lines(data[self._checked : end])
            self._checked = end + 2
        last = data[self._checked :]
        last = last[:-1] if last.endswith(b"\r") else last  # a CR at the end is legal: its LF may still come
        if len(last) > MAX_LINE:
            raise HandshakeError(400, "line above %d bytes" % MAX_LINE)
        if not (_FIELD if self._checked else _REQUEST_LINE).match(last):
            raise HandshakeError(400, "bad character in a header" if self._checked else "bad request line")

    def _check_lines(self, lines: bytes) -> None:
        if not self._checked:
            first, _, lines = lines.partition(b"\r\n")
            parse_request(first + b"\r\nHost: h")
        if lines:
            parse_request(b"GET / HTTP/1.0\r\n" + lines)
