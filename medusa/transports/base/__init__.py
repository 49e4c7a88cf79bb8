"""The transport: joins a stream and a codec, and tells the caller when to wait before it sends more.

transport  receives messages, answers pings, and ends the link
sender     the sending half of a transport
errors     the errors of a link that has ended
"""

from __future__ import annotations

from medusa.transports.base.errors import BrokenTransport, ClosedTransport
from medusa.transports.base.sender import Buffer
from medusa.transports.base.transport import CLOSE_TIMEOUT, FIRST_READ, READ_SIZE, READS_AT_ONCE, Transport

__all__ = [
    "CLOSE_TIMEOUT",
    "FIRST_READ",
    "READS_AT_ONCE",
    "READ_SIZE",
    "BrokenTransport",
    "Buffer",
    "ClosedTransport",
    "Transport",
]
