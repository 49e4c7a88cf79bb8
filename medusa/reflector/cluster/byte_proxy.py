"""Copies the bytes of a connection that is forwarded to another reflector.

The proxy parses no frames and answers no pings: the peer and the reflector that owns the session send each other pings.
When one stream has ended, the proxy first passes on the last bytes of that stream, and then ends the other stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from medusa.protocol.record import replace
from medusa.reflector.net.sockets import broken
from medusa.reflector.relay.byte_link import ByteLink, Patience
from medusa.reflector.relay.byte_pipe import BytePipe, join
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.interfaces import Share
from medusa.transports.socket_stream import SocketStream


def open_byte_proxy(
    queue: FairQueue,
    streams: tuple[SocketStream, SocketStream],
    answer: bytes,
    patience: Patience,
    plain: bool,
    ended: Callable[[ByteLink], None],
    share: Share | None = None,
) -> ByteLink:
    """Starts to copy bytes between a peer and the owner (the reflector that owns the peer's session). Returns the link.

    The link closes both streams at its end.

    Args:
        queue: the event loop's fair queue.
        streams: the peer's stream, then the owner's.
        answer: the first bytes of the owner's answer, which were read already.
        patience: how long the link stays open after the peer or the owner has closed.
        plain: True if the peer uses no frames. Then one direction may stay open for any time after the other has ended:
            `patience.close` has no effect, and `is_broken` decides whether the connection is lost. If False, `is_lost`
            decides this.
        ended: called once with the link when it has ended, perhaps before this function returns.
        share: the share of the memory budget in which the bytes that the link holds are counted. None: not counted.
    """
    if plain:
        return ByteLink(queue, join(*streams, share=share), replace(patience, close=math.inf), is_broken, ended, answer)
    return ByteLink(queue, join(*streams, share=share), patience, is_lost, ended, answer)


def is_broken(outward: BytePipe, inward: BytePipe) -> bool:
    """Returns True if the owner's stream has ended, and the connection to the owner is lost.

    The owner is the reflector that owns the session. The connection is lost if it was reset, or if the owner's host has
    not answered the kernel's keepalive probes. These probes are sent even if the peer sends no byte.

    Args:
        outward: the pipe from the owner to the peer.
        inward: the pipe from the peer to the owner.
    """
    return outward.ended and broken(outward.source.fileno())


def is_lost(outward: BytePipe, inward: BytePipe) -> bool:
    """Returns True if the peer or the owner has closed, and no byte was read or written since the last check.

    The owner is the reflector that owns the session.

    Args:
        outward: the pipe from the owner to the peer.
        inward: the pipe from the peer to the owner.
    """
    pipes = (outward, inward)
    moved = any(pipe.has_read or pipe.has_written for pipe in pipes)
    return not moved and any(pipe.ended or pipe.is_stuck for pipe in pipes)
