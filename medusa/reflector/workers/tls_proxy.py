"""Decrypts and encrypts a TLS connection whose session lives in another worker, through a unix socket to that worker.

This is necessary because the state of TLS cannot move to another process. It costs two more descriptors for each
connection, and in each direction one more copy and two more system calls. The bytes are copied unchanged, and none is
dropped as long as the other worker can still receive it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medusa.reflector.relay.byte_link import ByteLink, Patience
from medusa.reflector.relay.byte_pipe import BytePipe, join
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.transports.interfaces import Share
from medusa.transports.socket_stream import SocketStream


def open_tls_proxy(
    queue: FairQueue,
    streams: tuple[SocketStream, SocketStream],
    answer: bytes,
    patience: Patience,
    lenient: bool,
    ended: Callable[[ByteLink], None],
    share: Share | None = None,
) -> ByteLink:
    """Starts a proxy between a peer and the owner (the worker that owns the session). Returns the running proxy.

    The proxy closes both streams at its end.

    Args:
        queue: the fair queue of the event loop.
        streams: the TLS stream to the peer, then the stream to the owner.
        answer: the first bytes of the owner's answer, which were read already.
        patience: how long the proxy stays open after one end has closed. While both ends are open, the owner decides
            whether the peer is lost, not this proxy.
        lenient: True if, after the owner has closed, bytes received from the peer count as a sign of life too. If
            False, only bytes that the peer accepts count.
        ended: called once with the proxy when it has ended.
        share: the share of the memory budget in which the bytes that the proxy holds are counted. None: not counted.
    """
    pipes = join(*streams, drains=True, share=share)
    return ByteLink(queue, pipes, patience, partial(is_lost, lenient), ended, answer)


def is_lost(lenient: bool, outward: BytePipe, inward: BytePipe) -> bool:
    """Returns True if one end has closed and the other has shown no sign of life since the last check.

    `lenient`: see `open_tls_proxy`. `outward`: the pipe to the peer. `inward`: the pipe from the peer.
    """
    if outward.ended and inward.wants_read and not inward.has_read:
        return True  # the owner has closed and all is written, but the peer does not hang up
    if inward.is_stuck and not inward.has_written:
        return True
    peer_lives = lenient and inward.has_read
    return outward.is_stuck and not outward.has_written and not peer_lives
