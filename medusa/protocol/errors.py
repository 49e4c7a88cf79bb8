"""Errors of the wire. The type says which side broke the rules, the attributes what to answer.

ProtocolError
    LocalProtocolError          our own bug: an illegal call
    RemoteProtocolError         the peer broke the rules; carries a close code
        BadFrame                1002
        BadText                 1007
        PolicyViolation         1008
        MessageTooBig           1009
    HandshakeError              carries an HTTP status (and headers for the answer)
"""

from __future__ import annotations

from typing import Tuple


class ProtocolError(Exception):
    """Base of all wire errors."""


class LocalProtocolError(ProtocolError):
    """This program asked for something illegal: a bug here, not in the peer."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something illegal. `close_code` is the RFC 6455 section 7.4.1 code to fail it with."""

    close_code = 1002


class BadFrame(RemoteProtocolError):
    """An illegal frame header or frame sequence."""


class BadText(RemoteProtocolError):
    """A text message or close reason that is not UTF-8."""

    close_code = 1007


class PolicyViolation(RemoteProtocolError):
    """A well-formed message that this peer may not send, such as a forged control message of the reflector."""

    close_code = 1008


class MessageTooBig(RemoteProtocolError):
    """A message above the configured limit."""

    close_code = 1009


class HandshakeError(ProtocolError):
    """An HTTP head that is not acceptable.

    Attributes:
        http_status: the status to answer with.
        headers: more headers for that answer, such as Sec-WebSocket-Version (RFC 6455 section 4.4).
    """

    def __init__(self, http_status: int, reason: str, headers: Tuple[Tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.http_status = http_status
        self.headers = headers
