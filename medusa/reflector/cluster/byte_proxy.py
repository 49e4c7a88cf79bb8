"""Copies the bytes of a connection that is forwarded to another reflector.

The proxy parses no frames and answers no pings: the peer, and the reflector that owns the session, check each other.
When one stream has ended, the proxy ends the other stream after all bytes that came before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

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
    """Starts to copy between the peer and the owner (the reflector that has the session).

    Returns the link. It owns both streams from now on.

    Args:
        queue: the event loop's fair queue.
        streams: the peer's stream, then the owner's.
        answer: the first bytes of the owner's answer, which were read already.
        patience: how long the link goes on after one end is gone.
        plain: True if one end may go on without the other: then only the kernel detects that an end is gone.
        ended: called once after the link has ended, perhaps before this function returns.
        share: where the bytes that the link holds are counted. None: nowhere.
    """
    if plain:
        return ByteLink(queue, join(*streams, share=share), replace(patience, close=math.inf), is_broken, ended, answer)
    return ByteLink(queue, join(*streams, share=share), patience, is_lost, ended, answer)


def is_broken(outward: BytePipe, inward: BytePipe) -> bool:
    """Returns True if the owner has closed, and the kernel has found that it does not read any more either.

    No byte from the peer need come for that: the kernel's own probes find it.
    """
    return outward.ended and broken(outward.source.fileno())


def is_lost(outward: BytePipe, inward: BytePipe) -> bool:
    """Returns True if an end is gone, and no byte has moved in either direction since the last check."""
    pipes = (outward, inward)
    moved = any(pipe.has_read or pipe.has_written for pipe in pipes)
    return not moved and any(pipe.ended or pipe.is_stuck for pipe in pipes)
