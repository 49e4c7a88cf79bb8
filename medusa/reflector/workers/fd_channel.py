"""Workers' mailboxes: sockets that carry letters, each with one descriptor. Nothing here waits.

The supervisor makes them and keeps both ends open, so that what is in a mailbox survives its worker: the next one with
that number takes it out.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from medusa.reflector.workers.letters import MAX_LETTER, BadLetter

CAPACITY = 4 * MAX_LETTER
"""Bytes that wait in a mailbox at the most; the kernel may grant less (net.core.wmem_max)."""

_INT = struct.Struct("i")
_DAMAGED = socket.MSG_TRUNC | socket.MSG_CTRUNC


def mailbox() -> tuple[socket.socket, socket.socket]:
    """(inbox, outbox). All who write share the outbox, and its capacity."""
    inbox, outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    outbox.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CAPACITY)
    for end in (inbox, outbox):
        end.setblocking(False)
    return inbox, outbox


def post(outbox: socket.socket, packet: bytes, fd: int) -> None:
    """Put a letter in, with a duplicate of `fd`.

    Raises:
        BlockingIOError: there is no room.
        OSError: the system refuses.
    """
    socket.send_fds(outbox, [packet], [fd])


def collect(inbox: socket.socket) -> tuple[bytes, int]:
    """The oldest letter, and its descriptor, which is the caller's now.

    Raises:
        BlockingIOError: there is none.
        BadLetter: it came without its descriptor, or cut short.
        OSError: this process has no descriptor left; the letter stays where it is.
    """
    socket.close(socket.dup(inbox.fileno()))  # where this fails the kernel would drop the letter's
    # Not recv_fds, which does not pass its flags on in every Python: other processes would inherit the descriptor.
    packet, ancillary, flags, _ = inbox.recvmsg(MAX_LETTER, socket.CMSG_LEN(_INT.size), socket.MSG_CMSG_CLOEXEC)
    fds = [fd for _, kind, data in ancillary if kind == socket.SCM_RIGHTS for (fd,) in _INT.iter_unpack(data)]
    if flags & _DAMAGED or len(fds) != 1:
        for fd in fds:
            with contextlib.suppress(OSError):
                socket.close(fd)  # gevent's os.close takes until the next turn of its loop
        raise BadLetter("cut short" if flags & socket.MSG_TRUNC else "not one descriptor")
    return packet, fds[0]
