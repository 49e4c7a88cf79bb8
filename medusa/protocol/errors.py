"""The errors of the wire protocols. The type says which side broke the rules; the attributes say what to answer.

ProtocolError
    LocalProtocolError          this program broke the rules: a bug
    RemoteProtocolError         the peer broke the rules; has a close code:
        BadFrame                1002
        BadText                 1007
        PolicyViolation         1008
        MessageTooBig           1009
        StreamError             1002, and has a code for the GOAWAY of the stream
    HandshakeError              a bad HTTP head or greeting; has an HTTP status (and headers) for the answer
"""

from __future__ import annotations

from typing import Tuple


class ProtocolError(Exception):
    """The base class of all errors of the wire protocols."""


class LocalProtocolError(ProtocolError):
    """Raised if this program tries to send something illegal, or at an illegal time: a bug in this program."""


class RemoteProtocolError(ProtocolError):
    """Raised if the peer sent something illegal.

    Answer with a Close that holds `close_code` (RFC 6455 section 7.4.1).
    """

    close_code = 1002


class BadFrame(RemoteProtocolError):
    """Raised if the peer sent an illegal frame header or an illegal sequence of frames."""


class BadText(RemoteProtocolError):
    """Raised if the peer sent a text message or a close reason that is not UTF-8."""

    close_code = 1007


class PolicyViolation(RemoteProtocolError):
    """Raised if the peer sent a message that it is not allowed to send, such as a control message of the reflector."""

    close_code = 1008


class MessageTooBig(RemoteProtocolError):
    """Raised if the peer sent a message that is longer than the configured limit."""

    close_code = 1009


class StreamError(RemoteProtocolError):
    """Raised if the peer broke a rule of streams (docs/protocol.md, part 3).

    The stream is over: send the peer a GOAWAY.

    Attributes:
        code: the name of the rule in docs/protocol.md.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class HandshakeError(ProtocolError):
    """Raised if an HTTP head, or a greeting of raw TCP, cannot be accepted.

    Attributes:
        http_status: the HTTP status to answer with.
        headers: extra headers for the answer, such as Sec-WebSocket-Version (RFC 6455 section 4.4).
    """

    def __init__(self, http_status: int, reason: str, headers: Tuple[Tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.http_status = http_status
        self.headers = headers
