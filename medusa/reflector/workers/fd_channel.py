"""Messages between workers, each with one file descriptor, over unix sockets (SOCK_SEQPACKET, SCM_RIGHTS).

For each worker there is a pair of sockets: its inbox, from which it receives, and an outbox, to which all other workers
send. The supervisor makes the pair and keeps both ends open. So the messages survive if the worker dies: the next
worker with the same number receives them.

A packet is one line of JSON, then the bytes that were already read from the connection. All senders belong to one run
of the reflector, and so to one version. So a malformed packet comes from a bug, and is refused as a whole. No function
here blocks.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from typing import Any, NamedTuple

MAX_PACKET = 64 * 1024
"""The maximum size of a packet, in bytes.

A request head has at most 16 KiB, and at most as many bytes after the head arrive with the same read.
"""

MAX_HEADER = 512
"""The maximum size of the line of JSON in bytes, with its line end."""

CAPACITY = 4 * MAX_PACKET
"""The maximum number of bytes that wait in an inbox. The kernel may grant less (net.core.wmem_max)."""

QUESTION = "question"
"""The kind of a message that is a question. Its descriptor is a socket, to which the answer is written (see rpc)."""

_INT = struct.Struct("i")
_DAMAGED = socket.MSG_TRUNC | socket.MSG_CTRUNC


class BadMessage(Exception):
    """Raised if a message is too long to be sent, or if a packet is malformed."""


class Message(NamedTuple):
    """The content of a message about a descriptor: a connection to take over, or a question to answer.

    Attributes:
        kind: the name of the listener that accepted the connection, or QUESTION.
        address: the client's address, as a socket returns it. Empty for a question.
        data: the bytes that were read from the connection so far, or the question.
        proxied: True if a PROXY header says that the peer is a proxy; see Accepted.
    """

    kind: str
    address: tuple[Any, ...] = ()
    data: bytes = b""
    proxied: bool = False


def pack(message: Message) -> bytes:
    """Returns the packet for `message`. Raises BadMessage if it would be too long."""
    header = json.dumps([message.kind, message.proxied, *message.address]).encode() + b"\n"
    if len(header) > MAX_HEADER or len(header) + len(message.data) > MAX_PACKET:
        raise BadMessage("a message of %d bytes" % (len(header) + len(message.data)))
    return header + message.data


def unpack(packet: bytes) -> Message:
    """Returns the message in a packet that `pack` made. Raises BadMessage if the packet is malformed."""
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
    """Returns True if `address` is [host, port], or [host, port, flow, scope] as for IPv6."""
    host, *numbers = address
    return isinstance(host, str) and len(numbers) in (1, 3) and all(type(number) is int for number in numbers)


def open_channel() -> tuple[socket.socket, socket.socket]:
    """Returns a new pair (inbox, outbox) of non-blocking sockets. All senders share the outbox and its capacity."""
    inbox, outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    outbox.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CAPACITY)
    for end in (inbox, outbox):
        end.setblocking(False)
    return inbox, outbox


def send(outbox: socket.socket, packet: bytes, fd: int) -> None:
    """Sends a packet with a duplicate of the descriptor `fd`.

    Raises:
        BlockingIOError: there is no room now. Wait until the outbox is writable, and call again.
        OSError: the system cannot send it.
    """
    socket.send_fds(outbox, [packet], [fd])


def receive(inbox: socket.socket) -> tuple[bytes, int]:
    """Returns the oldest packet and its descriptor, which the caller has to close.

    Raises:
        BlockingIOError: there is no packet now. Wait until the inbox is readable, and call again.
        BadMessage: the packet arrived truncated, or without its descriptor. It is lost.
        OSError: this process has no descriptor left. The packet stays in the inbox; call again later.
    """
    socket.close(socket.dup(inbox.fileno()))  # raises if no descriptor is left: recvmsg would lose the packet's
    # recv_fds ignores its flags in some Pythons; without MSG_CMSG_CLOEXEC child processes would inherit the descriptor.
    packet, ancillary, flags, _ = inbox.recvmsg(MAX_PACKET, socket.CMSG_LEN(_INT.size), socket.MSG_CMSG_CLOEXEC)
    fds = [fd for _, kind, data in ancillary if kind == socket.SCM_RIGHTS for (fd,) in _INT.iter_unpack(data)]
    if flags & _DAMAGED or len(fds) != 1:
        for fd in fds:
            with contextlib.suppress(OSError):
                socket.close(fd)  # closes now; gevent's os.close waits for the next iteration of the event loop
        raise BadMessage("truncated" if flags & socket.MSG_TRUNC else "not one descriptor")
    return packet, fds[0]
