"""How the reflectors of one site authenticate each other's requests: HMACs with a secret that all read from a file."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from typing import NamedTuple

from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.config import ConfigError
from medusa.reflector.net.certificate import OTHERS

FORWARD_HEADER = "Medusa-Carried"
QUESTION_HEADER = "Medusa-Asks"
"""Header fields with a proof: of a request that forwards a peer's connection, and of a reflector's own question."""

MAX_SKEW = 60
"""Seconds that the clocks of two reflectors may differ."""

MIN_SECRET = 16
"""Bytes."""

_FORWARD = re.compile(r"1 ([0-9]{1,12}) ([0-9a-f]{32}) (http|raw) ([0-9A-Fa-f:.%]+) ([0-9]{1,5}) ([0-9a-f]{64})\Z")
_QUESTION = re.compile(r"1 ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{64})\Z")


class BadProof(Exception):
    """A request that no reflector of this site made, or not now; the text is for the log."""


class Origin(NamedTuple):
    """What one reflector tells another about a forwarded connection.

    Attributes:
        kind: HTTP or RAW (medusa.reflector.net.listen): what the peer speaks.
        host, port: the peer's address.
    """

    kind: str
    host: str
    port: int


class PeerAuth:
    """Makes proofs for requests to other reflectors, and checks theirs. `clock`: seconds since the epoch."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._used = ReplayCache(clock)

    def sign_forward(self, target: str, head: bytes, origin: Origin) -> str:
        """The value of FORWARD_HEADER in a request for `target`. It is good for one use, now.

        Args:
            head: what the peer's own request or greeting begins with; it follows the forwarding request.
        """
        fields = "1 %d %s %s %s %d" % (self._clock(), secrets.token_hex(16), *origin)
        return "%s %s" % (fields, self._mac(b"medusa carried", fields, target, head))

    def read_forward(self, value: str) -> Origin:
        """The origin that a header names. Nothing is checked yet: call `check_forward` when the peer's head was read.

        Raises:
            BadProof: the header has another form.
        """
        match = _match(_FORWARD, value)
        return Origin(match[3], match[4], int(match[5]))

    def check_forward(self, value: str, target: str, head: bytes) -> None:
        """Check a FORWARD_HEADER, and remember that it was used. One process owns the session that `target` names, so
        no other has to know.

        Raises:
            BadProof
        """
        when, nonce = self._check(_match(_FORWARD, value), b"medusa carried", target, head)
        if self._used.used(nonce.encode()):
            raise BadProof("used before")
        self._used.use(nonce.encode(), when + MAX_SKEW)

    def sign_question(self, method: str, target: str, owner: str) -> str:
        """The value of QUESTION_HEADER in a request to the reflector at the address `owner`, and to no other."""
        fields = "1 %d %s" % (self._clock(), secrets.token_hex(16))
        return "%s %s" % (fields, self._mac(b"medusa asks", fields, method + " " + target, owner.encode()))

    def check_question(self, value: str, method: str, target: str, owner: str) -> str:
        """Check a QUESTION_HEADER. Returns its nonce, of which the caller has to make sure that it is used once: any
        worker of this reflector may get the copy of a question.

        Raises:
            BadProof
        """
        return self._check(_match(_QUESTION, value), b"medusa asks", method + " " + target, owner.encode())[1]

    def _check(self, match: re.Match[str], purpose: bytes, target: str, head: bytes) -> tuple[int, str]:
        """Returns (when it was made, nonce)."""
        fields, _, mac = match[0].rpartition(" ")
        if not hmac.compare_digest(mac, self._mac(purpose, fields, target, head)):
            raise BadProof("made without this site's secret")
        when = int(match[1])
        off = when - self._clock()
        if abs(off) > MAX_SKEW:
            raise BadProof("%+d s off: set the clocks" % off)
        return when, match[2]

    def _mac(self, purpose: bytes, fields: str, target: str, head: bytes) -> str:
        parts = (purpose, fields.encode(), target.encode(), hashlib.sha256(head).hexdigest().encode())
        return hmac.new(self._secret, b"\n".join(parts), hashlib.sha256).hexdigest()


def _match(form: re.Pattern[str], value: str) -> re.Match[str]:
    match = form.match(value)
    if match is None:
        raise BadProof("not of the form")
    return match


def load_secret(path: str) -> bytes:
    """The site's secret from a file, without white space around it.

    Raises:
        ConfigError: the file cannot be read, others than its owner may read it, or the secret is too short.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read(4096).strip()
    except OSError as error:
        raise ConfigError("site-secret-file: %s: %s" % (path, error.strerror)) from None
    if stat.S_IMODE(mode) & OTHERS:
        raise ConfigError("site-secret-file: %s: others may read it; make its mode 600" % path)
    if len(secret) < MIN_SECRET:
        raise ConfigError("site-secret-file: %s: less than %d bytes; try: openssl rand -hex 32" % (path, MIN_SECRET))
    return secret
