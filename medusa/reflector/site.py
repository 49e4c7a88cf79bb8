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

from medusa.reflector.config import ConfigError
from medusa.reflector.nonces import Nonces
from medusa.reflector.tls import OTHERS

HEADER = "Medusa-Carried"

SKEW = 60
"""Seconds that the clocks of two reflectors may differ."""

MIN_SECRET = 16

_FORM = re.compile(r"1 ([0-9]{1,12}) ([0-9a-f]{32}) (\S+) ([0-9A-Fa-f:.%]+) ([0-9]{1,5}) ([0-9a-f]{64})\Z")
_NOBODY = "-"
"""In place of a login."""


class Forged(Exception):
    """A request that no reflector of this site made, or not now; the text is for the log."""


class Passenger(NamedTuple):
    """Who is carried: the login that another reflector let in ("" by the internal API), and the true peer."""

    login: str
    peer: tuple[str, int]


class Site:
    """Signs for other reflectors, and judges what they signed. `clock`: seconds since the epoch."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._nonces = Nonces(clock)

    def sign(self, head: bytes, passenger: Passenger) -> str:
        """The header's value for the request whose head is `head`. It is good for one use, now."""
        host, port = passenger.peer
        nonce = secrets.token_hex(16)
        fields = "1 %d %s %s %s %d" % (self._clock(), nonce, passenger.login or _NOBODY, host, port)
        return "%s %s" % (fields, self._proof(fields, head))

    def verify(self, value: str, head: bytes) -> Passenger:
        """Raises Forged."""
        match = _FORM.match(value)
        if match is None:
            raise Forged("not of the form")
        fields, _, proof = value.rpartition(" ")
        if not hmac.compare_digest(proof, self._proof(fields, head)):
            raise Forged("made without this site's secret")
        when, nonce, login, host, port = int(match[1]), match[2].encode(), *match.group(3, 4, 5)
        if abs(when - self._clock()) > SKEW:
            raise Forged("%+d s off: set the clocks" % (when - self._clock()))
        if self._nonces.used(nonce):
            raise Forged("used before")
        self._nonces.use(nonce, when + SKEW)
        return Passenger("" if login == _NOBODY else login, (host, int(port)))

    def _proof(self, fields: str, head: bytes) -> str:
        text = b"medusa carried %s %s" % (fields.encode(), hashlib.sha256(head).hexdigest().encode())
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


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
