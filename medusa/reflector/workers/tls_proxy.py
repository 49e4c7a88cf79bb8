"""The TLS of a connection whose session lives in another worker: decrypted here, passed on through a unix socket.

TLS's state cannot leave its process. The cost for each connection: two more descriptors, and in each direction one more
copy and two more system calls. No byte is made up, and none is dropped that the owner could still have got.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medusa.reflector.relay.byte_link import ByteLink
from medusa.reflector.relay.byte_pipe import BytePipe, join
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.socket_stream import SocketStream


def open_tls_proxy(
    queue: FairQueue,
    outer: SocketStream,
    inner: SocketStream,
    stall_timeout: float,
    lenient: bool,
    ended: Callable[[ByteLink], None],
) -> ByteLink:
    """Start to copy between the peer's stream, through TLS, and the owning worker's; both are the link's from here on.

    Args:
        stall_timeout: seconds without a sign of life after which the rest of a link counts as lost. As long as both
            ends are there, the owner judges the peer, not this process.
        lenient: after the owner has closed, bytes received from the peer also count as a sign of life; otherwise only
            bytes that it accepts.
        ended: called once, when the link has ended.
    """
    return ByteLink(queue, join(outer, inner, drains=True), stall_timeout, partial(is_lost, lenient), ended)


def is_lost(lenient: bool, outward: BytePipe, inward: BytePipe) -> bool:
    """True if one end is gone and the other one shows no sign of life."""
    if outward.ended and inward.wants_read and not inward.has_read:
        return True  # the owner is done, and the peer does not hang up
    if inward.is_stuck and not inward.has_written:
        return True
    peer_lives = lenient and inward.has_read
    return outward.is_stuck and not outward.has_written and not peer_lives
