"""Decrypts and encrypts a TLS connection for another worker, in which the connection's session lives.

The decrypted bytes go to the other worker through a unix socket. The bytes to encrypt come back through the same
socket. This is necessary because the state of TLS cannot move to another process. It costs two more descriptors for
each connection. In each direction it costs one more copy and two more system calls. The bytes are copied unchanged. No
byte is dropped as long as the other worker can still receive it.
"""

from __future__ import annotations

import fcntl
import struct
import termios
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
    counts_reads: bool,
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
        counts_reads: decides when the peer counts as alive after the owner has closed, while bytes for the peer are
            left. True: if the peer sends or accepts bytes. False: only if it accepts bytes.
        ended: called once with the proxy when it has ended.
        share: the share of the memory budget in which the bytes that the proxy holds are counted. None: not counted.
    """
    pipes = join(*streams, drains=True, share=share)
    return TlsProxy(queue, pipes, patience, partial(is_lost, counts_reads), ended, answer)


class TlsProxy(ByteLink):
    """Copies bytes between a TLS peer and the owner: the worker in which the peer's session lives.

    The proxy ends early if the owner has closed without waiting for the peer (see `is_cut_off`). Otherwise it ends as a
    ByteLink does.
    """

    def _check(self) -> None:
        if is_cut_off(self._pipes[0]):
            self.end()
        else:
            super()._check()


def is_lost(counts_reads: bool, outward: BytePipe, inward: BytePipe) -> bool:
    """Returns True if one end has closed, and the other has shown no sign of life since the last check. The cases are:

    - The owner has closed, and all its bytes are written: the peer has sent no byte.
    - The owner has closed, and bytes for the peer are left: the peer has accepted no byte. If `counts_reads` is True,
      the peer has not sent any either.
    - The peer has closed, and bytes for the owner are left: the owner has accepted no byte.

    Args:
        counts_reads: True if bytes from the peer count as a sign of life in the second case.
        outward: the pipe to the peer.
        inward: the pipe from the peer.
    """
    if outward.ended and inward.wants_read and not inward.has_read:
        return True  # the owner has closed and all is written, but the peer does not hang up
    if inward.is_stuck and not inward.has_written:
        return True
    peer_lives = counts_reads and inward.has_read
    return outward.is_stuck and not outward.has_written and not peer_lives


def is_cut_off(outward: BytePipe) -> bool:
    """Returns True if the owner has closed without waiting for the peer, so the session was killed or reached a limit.

    The owner is the worker in which the session lives. The result is True if the owner has closed, the peer accepts no
    bytes, and bytes from the owner are still unread here. If a session ends in order and its client is alive, the owner
    closes only after this worker has read all bytes.

    `outward`: the pipe to the peer.
    """
    return outward.is_stuck and not outward.has_written and _unread(outward.source.fileno()) > 0


def _unread(fd: int) -> int:
    """Returns the number of bytes that have arrived at a socket, and were not read yet."""
    (size,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
    return int(size)
