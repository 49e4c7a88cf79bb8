"""Signs requests to the other reflectors of the site, and checks the requests that they send.

A proof is a signature: an HMAC with the site's secret, which each reflector reads from a file. A request either
forwards a peer's connection, or is a question. A question asks another reflector to list its sessions, or to end one of
them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.auth.single_use import ReservedMark
from medusa.reflector.config import ConfigError
from medusa.reflector.net.certificate import is_open_to_others

FORWARD_HEADER = "Medusa-Carried"
QUESTION_HEADER = "Medusa-Asks"
"""The header fields for a proof that the request comes from a reflector of the site.

FORWARD_HEADER is for a request that forwards a peer's connection. QUESTION_HEADER is for a question.
"""

MAX_SKEW = 60
"""The maximum difference, in seconds, between the clocks of two reflectors."""

MIN_SECRET = 16
"""The least length of the secret, in bytes."""

_BY_LEG = "leg"
"""The word in place of a reserved mark, for an agent that was called because one more client has joined its session.

Such an agent signs nothing. It sends the id of its leg (the new pair of client and agent), which the owner of the
session checks. An older reflector refuses this word.
"""

_HOST = r"[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.\-]{1,15})?"
"""The regular expression of an IP address. A link-local address may end in % and the name of its network interface."""
_FORWARD = re.compile(
    rf"2 ([0-9]{{1,12}}) ([0-9a-f]{{32}}) (http|raw) ({_HOST}) ([0-9]{{1,5}})"
    r" (?:([0-9a-f]{64}) ([0-9a-f]{32}) ([0-9]{1,12})|-|leg) ([0-9a-f]{64})\Z"
)
_QUESTION = re.compile(r"1 ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{64})\Z")


_CARRIED, _ASKS = b"medusa carried", b"medusa asks"
"""The first line of the signed text, for each of the two kinds of request. So a proof is valid for one kind only."""


class BadProof(Exception):
    """Raised if a proof (the signature of a reflector's request) is not valid. The text is for the log.

    The proof is malformed, not made with the site's secret, out of date, or already used.
    """


class Origin(NamedTuple):
    """The origin of a forwarded connection, as the forwarding reflector tells it to the session's owner.

    Attributes:
        kind: the protocol that the peer speaks: HTTP or RAW (medusa.reflector.net.listen).
        host, port: the peer's address.
    """

    kind: str
    host: str
    port: int


class PeerAuth:
    """Makes proofs for requests to other reflectors, and checks the proofs in requests from them.

    `secret`: the secret that all reflectors of the site share. `clock` returns seconds since the epoch.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._used = ReplayCache(clock)

    def sign_forward(
        self,
        target: str,
        head: bytes,
        origin: Origin,
        owner: str,
        reserved: ReservedMark | None,
        *,
        by_leg: bool = False,
    ) -> str:
        """Returns the proof for a request that forwards a peer: the value of FORWARD_HEADER.

        Only the reflector `owner` accepts the value, once, within MAX_SKEW seconds.

        Args:
            target: the path of the request.
            head: the head of the peer's own request, or its greeting. It is sent after the forwarding request's head.
            origin: the peer's protocol and address.
            owner: the address of the reflector that gets the request.
            reserved: the reservation of the peer's signature; None if the peer needs none.
            by_leg: True if the peer is an agent that was asked to connect for one more client. Such an agent needs no
                signature: its own request contains a secret id, which the owner has to check (see Accepted.leg).
        """
        word = "%s %s %d" % reserved if reserved is not None else _BY_LEG if by_leg else "-"
        fields = "2 %d %s %s %s %d %s" % (self._clock(), secrets.token_hex(16), *origin, word)
        return "%s %s" % (fields, self._mac(_CARRIED, fields, target, owner.encode(), head))

    def read_forward(self, value: str) -> tuple[Origin, ReservedMark | None]:
        """Parses the value of a FORWARD_HEADER. Returns the peer's origin and reserved mark. Does not check the proof.

        The mark is None if the peer needs no signature. Read the peer's own head next, then call `check_forward`.

        Raises:
            BadProof: the value is malformed.
        """
        match = _match(_FORWARD, value)
        reserved = ReservedMark(match[6], match[7], int(match[8])) if match[6] else None
        return Origin(match[3], match[4], int(match[5])), reserved

    def check_forward(self, value: str, target: str, head: bytes, owner: str) -> None:
        """Checks the value of a FORWARD_HEADER, and remembers that it was used.

        Only this process remembers this, because no other process owns the session that `target` names.

        Args:
            target: the path of the request.
            head: the head of the peer's own request, or its greeting.
            owner: the address of this reflector.

        Raises:
            BadProof: the value is not made for this `target`, `head` and `owner`, is out of date, or was used before.
        """
        when, nonce = self._check(_match(_FORWARD, value), _CARRIED, target, owner.encode(), head)
        if self._used.used(nonce.encode()):
            raise BadProof("used before")
        self._used.use(nonce.encode(), when + MAX_SKEW)

    def sign_question(self, method: str, target: str, owner: str) -> str:
        """Returns the proof for a question: the value of QUESTION_HEADER. Only the reflector `owner` accepts it.

        Args:
            method, target: the method and the path of the request.
            owner: the address of the reflector that gets the request.
        """
        fields = "1 %d %s" % (self._clock(), secrets.token_hex(16))
        return "%s %s" % (fields, self._mac(_ASKS, fields, method + " " + target, owner.encode()))

    def check_question(self, value: str, method: str, target: str, owner: str) -> str:
        """Checks the value of a QUESTION_HEADER, and returns its nonce (a random text).

        The caller has to make sure that the nonce is used only once. Any worker of this reflector may get a copy of the
        question, so the workers have to share the used nonces.

        Raises:
            BadProof: the value is not made for this request to `owner`, or is out of date.
        """
        return self._check(_match(_QUESTION, value), _ASKS, method + " " + target, owner.encode())[1]

    def _check(self, match: re.Match[str], purpose: bytes, target: str, *parts: bytes) -> tuple[int, str]:
        """Checks the HMAC and the time of a proof. Returns the time at which the proof was made, and its nonce.

        Raises BadProof. `match`: the parsed proof. `purpose`: the kind of the request.
        """
        fields, _, mac = match[0].rpartition(" ")
        if not hmac.compare_digest(mac, self._mac(purpose, fields, target, *parts)):
            raise BadProof("made without this site's secret, or for another reflector")
        when = int(match[1])
        off = when - self._clock()
        if abs(off) > MAX_SKEW:
            raise BadProof("%+d s off: set the clocks" % off)
        return when, match[2]

    def _mac(self, purpose: bytes, fields: str, target: str, *parts: bytes) -> str:
        hashes = [hashlib.sha256(part).hexdigest().encode() for part in parts]
        text = b"\n".join((purpose, fields.encode(), target.encode(), *hashes))
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


def _match(form: re.Pattern[str], value: str) -> re.Match[str]:
    match = form.match(value)
    if match is None:
        raise BadProof("not of the form")
    return match


def load_secret(path: str) -> bytes:
    """Returns the secret that all reflectors of the site share, from the file `path`, without white space around it.

    Raises:
        ConfigError: the file cannot be read, users other than its owner may read it, or the secret is too short.
    """
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            secret = file.read(4096).strip()
    except OSError as error:
        raise ConfigError("site-secret-file: %s: %s" % (path, error.strerror)) from None
    if is_open_to_others(found):
        raise ConfigError("site-secret-file: %s: others may read it; make its mode 600" % path)
    if len(secret) < MIN_SECRET:
        raise ConfigError("site-secret-file: %s: less than %d bytes; try: openssl rand -hex 32" % (path, MIN_SECRET))
    return secret
