"""Makes a transport of an accepted socket after the handshake, at the reflector's end. Not in the agent's archive.

All functions have some of these arguments:
    sock: the socket. The transport owns it from here on, and closes it.
    leftover: the bytes that came after the request head or the greeting, and were already read.
    max_message: the limit of one message, in bytes.
    scratch: the read buffer, see RelayedTransport.
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
"""The Close that stands for the end of the stream of a peer without frames, because such a peer cannot send a Close.

It is the attribute `close` of the ClosedTransport that is raised then.
"""

Socket = Union[socket.socket, TlsSocket]


def adopt_websocket(
    sock: Socket,
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """Returns a transport for a websocket. `sock` must already be upgraded."""
    codec = WebSocketCodec(Role.SERVER, _new_key, max_message)
    return RelayedTransport(stream_over(sock), codec, WebSocketRelay(max_message), leftover, scratch)


def adopt_framed(
    sock: Socket,
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """Returns a transport for raw TCP with frames. The greeting must already be accepted."""
    codec = FramedCodec(max_message)
    return RelayedTransport(stream_over(sock), codec, FramedRelay(max_message), leftover, scratch)


def adopt_plain(
    sock: Socket,
    leftover: bytes = b"",
    scratch: Optional[memoryview] = None,
    after_cr: bool = False,
) -> RelayedTransport:
    """Returns a transport for raw TCP without frames, for a peer such as socat or a shell script.

    The two directions end separately. In place of a Close, the transport sends all waiting bytes and then a FIN. After
    the FIN it still receives what the peer sends.

    Args:
        after_cr: True if the greeting was read up to a CR. If the first byte of input is an LF, it belongs to this CR.
    """
    return RelayedTransport(stream_over(sock), PlainCodec(), PlainRelay(after_cr), leftover, scratch, END_OF_STREAM)


def _new_key() -> bytes:
    return os.urandom(4)
