"""Raw TCP transports with frames: `connect` for who dials, `adopt` for who was dialled."""

from __future__ import annotations

import socket
import time
from typing import Optional, Union

from medusa.protocol.errors import HandshakeError
from medusa.protocol.messages import MAX_MESSAGE
from medusa.protocol.raw.codec import FramedConnection
from medusa.protocol.raw.greeting import REFUSED, LineReader, build_framed, check_answer
from medusa.transports.base import Transport
from medusa.transports.dial import (
    CONNECT_TIMEOUT,
    RETRYABLE,
    ConnectRefused,
    open_socket,
    parse_url,
    read_answer,
    remaining,
)
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsSocket, over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from medusa.transports.relayed import RelayedTransport


def connect(url: str, *, timeout: float = CONNECT_TIMEOUT, max_message: int = MAX_MESSAGE) -> Transport:
    """A link to `url` (tcp), through the environment's proxy.

    Raises:
        ConnectRefused: with the status where there was one, and whether to try again.
    """
    deadline = time.monotonic() + timeout
    target = parse_url(url)
    sock = open_socket(target, False, deadline)
    assert isinstance(sock, socket.socket)
    try:
        sock.settimeout(remaining(deadline))
        sock.sendall(build_framed(target.target, target.netloc))
        line, rest = read_answer(sock, deadline, LineReader().feed)
        check_answer(line)
    except HandshakeError as error:
        sock.close()
        status = error.http_status if line.startswith(REFUSED) else None
        raise ConnectRefused(str(error), status, error.http_status in RETRYABLE) from None
    except OSError as error:
        sock.close()
        raise ConnectRefused("the connection failed: %s" % (error.strerror or error)) from None
    except BaseException:
        sock.close()
        raise
    return Transport(SocketStream(sock), FramedConnection(max_message), rest)


def adopt(
    sock: Union[socket.socket, TlsSocket],
    leftover: bytes = b"",
    max_message: int = MAX_MESSAGE,
    scratch: Optional[memoryview] = None,
) -> RelayedTransport:
    """The reflector's end of a framed link whose greeting was accepted.

    Args:
        leftover: bytes that were read behind the greeting.
        scratch: as RelayedTransport's.
    """
    from medusa.protocol.raw.relay import FramedRelay  # neither travels with the agent
    from medusa.transports.relayed import RelayedTransport

    codec = FramedConnection(max_message)
    return RelayedTransport(over(sock), codec, FramedRelay(max_message), leftover, scratch)
