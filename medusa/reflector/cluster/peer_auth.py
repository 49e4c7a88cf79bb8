"""How the reflectors of one site know each other: by a secret that all of them read from a file."""

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

from medusa.reflector.auth.replay_cache import Nonces
from medusa.reflector.config import ConfigError
from medusa.reflector.net.certificate import OTHERS

HEADER = "Medusa-Carried"
ASKS = "Medusa-Asks"
"""Header fields: of a request for a peer, and of a question of a reflector's own."""

SKEW = 60
"""Seconds that the clocks of two reflectors may differ."""

MIN_SECRET = 16

_FORM = re.compile(r"1 ([0-9]{1,12}) ([0-9a-f]{32}) (http|raw) ([0-9A-Fa-f:.%]+) ([0-9]{1,5}) ([0-9a-f]{64})\Z")
_QUESTION_FORM = re.compile(r"1 ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{64})\Z")


class Forged(Exception):
    """A request that no reflector of this site made, or not now; the text is for the log."""


class Note(NamedTuple):
    """What one reflector tells another of a peer: what that speaks, and where it is."""

    kind: str
    host: str
    port: int


class Site:
    """Signs for other reflectors, and judges what they signed. `clock`: seconds since the epoch."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._nonces = Nonces(clock)

    def sign(self, target: str, head: bytes, note: Note) -> str:
        """The header's value for a request for `target`, behind which comes a peer's own of which `head` is the
        beginning. It is good for one use, now."""
        fields = "1 %d %s %s %s %d" % (self._clock(), secrets.token_hex(16), *note)
        return "%s %s" % (fields, self._proof(b"medusa carried", fields, target, head))

    def read(self, value: str) -> Note:
        """What a header tells, be it true or not. Raises Forged."""
        match = _FORM.match(value)
        if match is None:
            raise Forged("not of the form")
        return Note(match[3], match[4], int(match[5]))

    def check(self, value: str, target: str, head: bytes) -> None:
        """Whether it is true. Raises Forged."""
        self.read(value)
        self._check(value, b"medusa carried", target, head)

    def sign_question(self, method: str, target: str, owner: str) -> str:
        """The header's value for a question that goes to the reflector at the address `owner`, and to no other."""
        fields = "1 %d %s" % (self._clock(), secrets.token_hex(16))
        return "%s %s" % (fields, self._proof(b"medusa asks", fields, method + " " + target, owner.encode()))

    def check_question(self, value: str, method: str, target: str, owner: str) -> str:
        """Whether a header is true. Returns what names it, for as long as it is good. Raises Forged."""
        match = _QUESTION_FORM.match(value)
        if match is None:
            raise Forged("not of the form")
        self._check(value, b"medusa asks", method + " " + target, owner.encode())
        return match[2]

    def _check(self, value: str, purpose: bytes, target: str, head: bytes) -> None:
        fields, _, proof = value.rpartition(" ")
        if not hmac.compare_digest(proof, self._proof(purpose, fields, target, head)):
            raise Forged("made without this site's secret")
        _, when, nonce, *_ = fields.split(" ")
        off = int(when) - self._clock()
        if abs(off) > SKEW:
            raise Forged("%+d s off: set the clocks" % off)
        if self._nonces.used(nonce.encode()):
            raise Forged("used before")
        self._nonces.use(nonce.encode(), int(when) + SKEW)

    def _proof(self, purpose: bytes, fields: str, target: str, head: bytes) -> str:
        parts = (purpose, fields.encode(), target.encode(), hashlib.sha256(head).hexdigest().encode())
        return hmac.new(self._secret, b"\n".join(parts), hashlib.sha256).hexdigest()


def load_secret(path: str) -> bytes:
    """What the file holds, without white space around it. Raises ConfigError."""
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
