"""Builds and parses the first lines of raw TCP: the peer's greeting and the reflector's answers (docs/protocol.md).

No I/O. The greetings and their answers:

MEDUSA/1 <target> <host> [<word>=<value>...]   OK; then frames follow in both directions
ATTACH <id> client|agent [<token>]             OK waiting (only to a client), then OK linked; then bytes without frames
either of the two                              ERR <code> <words>, if the reflector refuses
"""

from __future__ import annotations

import re
from typing import Iterable, NamedTuple, Optional, Tuple, Union

from medusa.protocol import attach_path
from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.own_header import Field
from medusa.protocol.printable import printable
from medusa.protocol.raw.words import UNKNOWN, build_words, parse_words

MAX_LINE = 8 * 1024
"""The limit of a line without its end, in bytes. It is the same as in an HTTP head."""

ACCEPTED = b"OK\n"
WAITING = b"OK waiting\n"
LINKED = b"OK linked\n"
REFUSED = b"ERR "

_FRAMED = re.compile(rb"MEDUSA/([0-9]{1,3}) (/[\x21\x22\x24-\x7e]*) ([\x21-\x7e]+)((?: [a-z]+=[\x21-\x7e]+)*)\Z")
_PLAIN = re.compile(rb"ATTACH ([\x21-\x7e]+) (client|agent)(?: ([\x21-\x7e]+))?\Z")
_HTTP = re.compile(rb"[A-Z]{3,16} \S+ HTTP/[0-9.]+\Z")
_REFUSED = re.compile(r"ERR ([1-9][0-9]{2,3}) (.+)\Z")
_PLAIN_WORD = b"ATTACH "
_OURS = (b"MEDUSA/", _PLAIN_WORD)
GREETING_START = 7
"""The number of bytes that are enough to see whether a stream begins with a greeting or with another protocol."""

_TLS = 0x16
"""The first byte of every TLS connection (RFC 8446 section 5.1)."""

VERSION = b"1"
FORMS = "say MEDUSA/1 TARGET HOST, or ATTACH ID client|agent, as the first line"


class SpokeHttp(HandshakeError):
    """Raised if the peer sent an HTTP request to the raw port. Refuse it with an HTTP response."""


class Framed(NamedTuple):
    """A greeting after which the peer sends frames.

    Attributes:
        target: path and query of the URL that the peer attaches to.
        host: host and port of that URL.
        fields: the header fields, as (name, value), that the words of the greeting stand for. See
            medusa.protocol.raw.words.
    """

    target: str
    host: str
    fields: Tuple[Field, ...] = ()


class Plain(NamedTuple):
    """A greeting after which the peer sends bytes without frames.

    Attributes:
        session: the session id, unchecked.
        role: `attach_path.CLIENT` or `attach_path.AGENT`.
        token: a pre-signed URL (see `parse_token`); empty if the peer sent none.
    """

    session: str
    role: str
    token: str


class LineReader:
    """A buffer that collects bytes until it holds a whole line. Call `feed` with each piece from the stream.

    The line ends with LF or CR LF. An ATTACH greeting may end with CR alone: Enter on a raw terminal sends that.

    Attributes:
        typed: True if a CR ended an ATTACH greeting. The next bytes may then begin with the LF of a CR LF.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self.typed = False

    @property
    def empty(self) -> bool:
        """True if no byte has come yet."""
        return not self._data

    def feed(self, data: bytes) -> Optional[Tuple[bytes, bytes]]:
        """Adds `data` to the buffer. Returns None until the line is whole.

        Returns:
            (line without its end, bytes that came after the line)

        Raises:
            HandshakeError: with status 400, because the line is too long or the peer speaks TLS.
        """
        searched = len(self._data)
        self._data += data
        if self._data[:1] and self._data[0] == _TLS:
            raise HandshakeError(400, "TLS is not spoken on the raw port; " + FORMS)
        end = self._data.find(b"\n", searched)
        if self._data.startswith(_PLAIN_WORD):
            enter = self._data.find(b"\r", 0, None if end < 0 else end)
            self.typed = enter >= 0
            end = enter if self.typed else end
        if end > MAX_LINE or (end < 0 and len(self._data) > MAX_LINE):
            raise HandshakeError(400, "first line above %d bytes; %s" % (MAX_LINE, FORMS))
        if end < 0:
            return None
        line = bytes(self._data[:end])
        return line[:-1] if line.endswith(b"\r") else line, bytes(self._data[end + 1 :])


def parse_greeting(line: bytes) -> Union[Framed, Plain]:
    """Parses the peer's first line. Raises HandshakeError with status 400 if the line is not a greeting."""
    framed, plain = _FRAMED.match(line), _PLAIN.match(line)
    if framed and framed.group(1) != VERSION:
        raise HandshakeError(400, "version 1 is spoken here")
    if framed:
        target, host, words = (group.decode("ascii") for group in framed.groups()[1:])
        fields = parse_words(words.split())
        if fields is None:
            raise _not_a_greeting()
        return Framed(target, host, fields)
    if plain:
        role = attach_path.CLIENT if plain.group(2) == b"client" else attach_path.AGENT
        return Plain(plain.group(1).decode("ascii"), role, (plain.group(3) or b"").decode("ascii"))
    if _HTTP.match(line):
        raise SpokeHttp(400, "this is the raw port, and HTTP is not spoken here; " + FORMS)
    raise _not_a_greeting()


def _not_a_greeting() -> HandshakeError:
    return HandshakeError(400, "%s; %s" % (UNKNOWN, FORMS))


def parse_token(token: str) -> Framed:
    """Returns the target and the host of `token`, the pre-signed URL of an ATTACH greeting.

    The URL may lack its scheme.

    Raises:
        HandshakeError: with status 400, because `token` is not a URL.
    """
    host, slash, rest = token.rpartition("://")[2].partition("/")
    if not host or not slash:
        raise HandshakeError(400, "the token is not a pre-signed URL")
    return Framed(slash + rest, host)


def is_greeting(data: bytes) -> bool:
    """Returns True if `data` is the start of a greeting, not of HTTP. `data` must have GREETING_START bytes or more."""
    return data.startswith(_OURS)


def build_framed(target: str, host: str, headers: Iterable[Field] = ()) -> bytes:
    """Returns the greeting for links with frames.

    Args:
        target: path and query of the URL, byte for byte.
        host: host and port of the URL, byte for byte.
        headers: header fields, as (name, value). A field that has no word in raw TCP is left out.
    """
    return ("MEDUSA/1 %s %s%s\n" % (target, host, build_words(headers))).encode("ascii")


def build_refusal(code: int, words: str) -> bytes:
    """Returns a line `ERR <code> <words>`, which refuses a greeting or ends a link without frames.

    It can end a link only before both sides of the session are connected.

    Args:
        code: an HTTP status if the line refuses the greeting; a close code of RFC 6455 if the line ends the link.
        words: the reason, for the user.
    """
    return ("ERR %d %s\n" % (code, printable(words) or "no reason given")).encode("utf-8")


def build_accepted(headers: Iterable[Field] = ()) -> bytes:
    """Returns the line that accepts a greeting.

    Args:
        headers: header fields, as (name, value). A field that has no word in raw TCP is left out.
    """
    return ("OK%s\n" % build_words(headers)).encode("ascii")


def check_answer(line: bytes) -> Tuple[Field, ...]:
    """Checks that `line` accepts the greeting of a link with frames. Returns the header fields that the line holds.

    Each field is (name, value), and stands as a word after `OK`. Ignores unknown words.

    Raises:
        HandshakeError: the line does not accept the greeting. The status is that of the line if the reflector has
            refused the greeting. It is 400 if the peer speaks HTTP, and 502 for any other line.
    """
    accepted, *words = line.decode("utf-8", "replace").split(" ")
    if accepted == ACCEPTED.decode().strip() and all("=" in word for word in words):
        return tuple(field for word in words for field in parse_words([word]) or ())
    text = printable(line.decode("utf-8", "replace"))
    refused = _REFUSED.match(text)
    if refused:
        raise HandshakeError(int(refused.group(1)), refused.group(2))
    if text.startswith("HTTP/"):
        raise HandshakeError(400, "HTTP is spoken there: a tcp:// URL needs the reflector's --raw-port")
    raise HandshakeError(502, "no reflector's raw port: it answered %s" % (text or "an empty line"))
