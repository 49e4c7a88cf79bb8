"""Reads and parses the head of an HTTP request: strictly, and with a time limit."""

from __future__ import annotations

import gevent

from medusa.protocol.errors import HandshakeError
from medusa.protocol.http.early_check import EarlyCheck
from medusa.protocol.http.head import HeadReader, has_body, parse_request
from medusa.protocol.raw.greeting import GREETING_START, is_greeting
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.client_address import client_of, source_of


def head_timeout(seconds: float, status: int) -> gevent.Timeout:
    """Returns a context manager that limits the time in which a request head is read.

    If the `with` block lasts longer than `seconds`, HandshakeError with `status` is raised in the block.
    """
    return gevent.Timeout(seconds, HandshakeError(status, "no whole request head in %g s" % seconds))


def read_head(accepted: Accepted) -> bool:
    """Reads up to the end of the request's head, and keeps the head in `accepted`.

    Call this in a `with head_timeout(...)` block, then call `parse_head`.

    Returns False if the stream ends before the head does.

    Raises:
        HandshakeError: no valid head begins with the bytes read so far, or the head is too long.
        OSError: the connection is broken.
    """
    reader, early = HeadReader(), None
    data = accepted.data or accepted.receive()
    while data:
        if is_greeting(accepted.data[:GREETING_START]):
            raise HandshakeError(400, "HTTP is spoken here, not raw TCP: that has a port of its own, --raw-port")
        found = reader.feed(data)
        if found is not None:
            accepted.head, accepted.rest = found
            return True
        early = early or EarlyCheck()
        early.check(accepted.data)
        data = accepted.receive()
    return False


def parse_head(accepted: Accepted, config: ReflectorConfig) -> None:
    """Parses the head that `read_head` has read, and finds out the client's address. Both are stored in `accepted`.

    Raises HandshakeError if the head is malformed, or if the request has a body.
    """
    accepted.request = parse_request(accepted.head)
    if config.trusted_proxy:
        accepted.forwarded_for = client_of(accepted.address[0], accepted.request.headers, config.trusted_proxy)
    accepted.source = source_of(accepted.host, config)
    if has_body(accepted.request.headers):
        raise HandshakeError(400, "no request here has a body")
