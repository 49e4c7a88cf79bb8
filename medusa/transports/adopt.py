"""The reflector's end of a link whose handshake is done: a transport around its socket. Does not travel."""

from __future__ import annotations

import os
import socket
from typing import Optional, Union

from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.raw.codec import FramedConnection
from medusa.protocol.raw.relay import FramedRelay
from medusa.protocol.websocket.codec import Role, WebSocketConnection
from medusa.protocol.websocket.relay import WebSocketRelay
from medusa.transports.relayed import RelayedTransport
from medusa.transports.tls import TlsSocket, over


def adopt_websocket(
    sock: Union[socket.socket, TlsSocket],
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """A websocket on an upgraded socket.

    Args:
        leftover: bytes that were read after the request head.
        scratch: as RelayedTransport's.
    """
    codec = WebSocketConnection(Role.SERVER, _new_key, max_message)
    return RelayedTransport(over(sock), codec, WebSocketRelay(max_message), leftover, scratch)


def adopt_framed(
    sock: Union[socket.socket, TlsSocket],
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """Raw TCP with frames on a socket whose greeting was accepted.

    Args:
        leftover: bytes that were read after the greeting.
        scratch: as RelayedTransport's.
    """
    codec = FramedConnection(max_message)
    return RelayedTransport(over(sock), codec, FramedRelay(max_message), leftover, scratch)


def _new_key() -> bytes:
    return os.urandom(4)
