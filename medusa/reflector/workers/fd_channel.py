"""Messages between workers, each with one descriptor, over unix sockets (SOCK_SEQPACKET, SCM_RIGHTS). Nothing waits.

Each worker has an inbox, and all others share its outbox. The supervisor makes them and keeps both ends open, so the
messages in an inbox survive its worker: the next one with that number receives them.

A packet is one line of JSON, then the bytes that were read of the connection. All senders belong to one run and one
version of the reflector; a packet of another form is a bug, and must not become half a connection.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from typing import Any, NamedTuple

MAX_PACKET = 64 * 1024
"""Bytes. A request head has at most 16 KiB, and the bytes after it that came with the same read at most as many."""

MAX_HEADER = 512
"""Bytes of the line of JSON, with its end."""

CAPACITY = 4 * MAX_PACKET
"""Bytes that wait in an inbox at most; the kernel may grant less (net.core.wmem_max)."""

QUESTION = "question"
"""The kind of a message with a question: its descriptor is the socket to write the answer to (see rpc)."""

_INT = struct.Struct("i")
_DAMAGED = socket.MSG_TRUNC | socket.MSG_CTRUNC


class BadMessage(Exception):
    """A message that cannot be sent, or a packet that is not understood."""


class Message(NamedTuple):
    """What comes with a descriptor.

    Attributes:
        kind: the listener that accepted the descriptor's connection, or QUESTION.
        address: the peer's, as a socket has it.
        data: the bytes that were read of the connection so far, or the question.
        proxied: as Accepted's.
    """

    kind: str
    address: tuple[Any, ...] = ()
    data: bytes = b""
    proxied: bool = False


def pack(message: Message) -> bytes:
    """The packet for `message`. Raises BadMessage: it would be too long."""
    header = json.dumps([message.kind, message.proxied, *message.address]).encode() + b"\n"
    if len(header) > MAX_HEADER or len(header) + len(message.data) > MAX_PACKET:
        raise BadMessage("a message of %d bytes" % (len(header) + len(message.data)))
    return header + message.data


def unpack(packet: bytes) -> Message:
    """The message that `pack` was given. Raises BadMessage."""
    header, newline, data = packet.partition(b"\n")
    if not newline or len(header) >= MAX_HEADER or len(packet) > MAX_PACKET:
        raise BadMessage("no header, or too long")
    try:
        kind, proxied, *address = json.loads(header)
    except (ValueError, TypeError, RecursionError):
        raise BadMessage("the header is not a list in JSON") from None
    if not isinstance(kind, str) or not isinstance(proxied, bool) or not (address == [] or _is_address(address)):
        raise BadMessage("the header has no kind, or no address of a peer")
    return Message(kind, tuple(address), data, proxied)


def _is_address(address: list[Any]) -> bool:
    """Whether it is (host, port), or IPv6's (host, port, flow, scope)."""
    host, *numbers = address
    return isinstance(host, str) and len(numbers) in (1, 3) and all(type(number) is int for number in numbers)


def open_channel() -> tuple[socket.socket, socket.socket]:
    """A new (inbox, outbox), both non-blocking. All senders share the outbox and its capacity."""
    inbox, outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    outbox.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CAPACITY)
    for end in (inbox, outbox):
        end.setblocking(False)
    return inbox, outbox


def send(outbox: socket.socket, packet: bytes, fd: int) -> None:
    """Send a packet with a duplicate of `fd`.

    Raises:
        BlockingIOError: there is no room; wait until the outbox is writable.
        OSError: the system refuses.
    """
    socket.send_fds(outbox, [packet], [fd])


def receive(inbox: socket.socket) -> tuple[bytes, int]:
    """The oldest packet and its descriptor, which the caller has to close.

    Raises:
        BlockingIOError: there is none; wait until the inbox is readable.
        BadMessage: it came without its descriptor, or truncated.
        OSError: this process has no descriptor left; the packet stays in the inbox. Try again later.
    """
    socket.close(socket.dup(inbox.fileno()))  # if this fails, the kernel would drop the packet's descriptor
    # Not recv_fds, which does not pass its flags on in every Python: other processes would inherit the descriptor.
    packet, ancillary, flags, _ = inbox.recvmsg(MAX_PACKET, socket.CMSG_LEN(_INT.size), socket.MSG_CMSG_CLOEXEC)
    fds = [fd for _, kind, data in ancillary if kind == socket.SCM_RIGHTS for (fd,) in _INT.iter_unpack(data)]
    if flags & _DAMAGED or len(fds) != 1:
        for fd in fds:
            with contextlib.suppress(OSError):
                socket.close(fd)  # gevent's os.close waits for the next iteration of its loop
        raise BadMessage("truncated" if flags & socket.MSG_TRUNC else "not one descriptor")
    return packet, fds[0]
