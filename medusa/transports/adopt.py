"""The reflector's end of a link whose handshake is done: a transport around its socket. Does not travel.

The arguments that all share:
    sock: owned by the transport from here on.
    leftover: bytes that were read after the request head or the greeting.
    max_message: limit of one message in bytes.
    scratch: as RelayedTransport's.
"""

from __future__ import annotations

import os
import socket
from typing import Optional, Union

from medusa.protocol.messages import MAX_MESSAGE, Close
from medusa.protocol.raw.codec import FramedCodec
from medusa.protocol.raw.relay import FramedRelay, PlainCodec, PlainRelay
from medusa.protocol.websocket.codec import Role, WebSocketCodec
from medusa.protocol.websocket.relay import WebSocketRelay
from medusa.transports.relayed import RelayedTransport
from medusa.transports.tls import TlsSocket, stream_over

END_OF_STREAM = Close(1000, "end of the raw stream")
"""What the end of a stream without frames stands for: its peer has no other polite end."""

Socket = Union[socket.socket, TlsSocket]


def adopt_websocket(
    sock: Socket,
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """A websocket on a socket that was upgraded."""
    codec = WebSocketCodec(Role.SERVER, _new_key, max_message)
    return RelayedTransport(stream_over(sock), codec, WebSocketRelay(max_message), leftover, scratch)


def adopt_framed(
    sock: Socket,
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """Raw TCP with frames on a socket whose greeting was accepted."""
    codec = FramedCodec(max_message)
    return RelayedTransport(stream_over(sock), codec, FramedRelay(max_message), leftover, scratch)


def adopt_plain(
    sock: Socket,
    leftover: bytes = b"",
    scratch: Optional[memoryview] = None,
    after_cr: bool = False,
) -> RelayedTransport:
    """Raw TCP without frames, for a peer such as socat or a shell script.

    Each direction ends alone: a Close that is sent is a FIN after all that waits, and what the peer has not ended may
    go on.

    Args:
        after_cr: the greeting ended with CR, and an LF may follow.
    """
    return RelayedTransport(stream_over(sock), PlainCodec(), PlainRelay(after_cr), leftover, scratch, END_OF_STREAM)


def _new_key() -> bytes:
    return os.urandom(4)
