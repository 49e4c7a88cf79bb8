"""The byte proxy of a connection that is forwarded to another reflector.

It looks at no frame and answers no ping: the peer and the session's owner judge each other. The end of one stream
becomes the end of the other, after all bytes that came before it.
"""

from __future__ import annotations

from collections.abc import Callable

from medusa.reflector.relay.byte_link import ByteLink
from medusa.reflector.relay.byte_pipe import BytePipe, join
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.socket_stream import SocketStream


def open_byte_proxy(
    queue: FairQueue,
    streams: tuple[SocketStream, SocketStream],
    answer: bytes,
    stall_timeout: float | None,
    ended: Callable[[ByteLink], None],
) -> ByteLink:
    """Start to copy between the streams of the peer and the owner, which are the link's from here on.

    Args:
        answer: bytes of the owner's answer that were read already.
        stall_timeout: seconds without a byte in either direction after which the link ends if one of its ends is gone.
            None if one end may go on without the other: then only the kernel finds out that an end is gone.
        ended: called once, when the link has ended; perhaps before this returns.
    """
    return ByteLink(queue, join(*streams), stall_timeout, is_lost, ended, answer)


def is_lost(outward: BytePipe, inward: BytePipe) -> bool:
    """True if nothing has moved in either direction, and one of the ends is gone."""
    pipes = (outward, inward)
    moved = any(pipe.has_read or pipe.has_written for pipe in pipes)
    return not moved and any(pipe.ended or pipe.is_stuck for pipe in pipes)
