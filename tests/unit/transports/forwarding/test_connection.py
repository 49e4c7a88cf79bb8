"""One forwarded connection."""

from __future__ import annotations

import contextlib
import socket

import pytest

from medusa.protocol.channels.frames import DATA
from medusa.protocol.channels.kinds import Role
from medusa.protocol.channels.limits import MAX_QUEUED, QUEUED_HIGH
from medusa.protocol.channels.multiplexer import Channels
from medusa.transports.forwarding.connection import READ, Connection
from tests.streams.wire import opened, taken


def test_what_has_come_before_the_channel_was_accepted_is_sent_without_a_poll() -> None:
    client = Channels(Role.CLIENT)
    channel = opened(client, "tcp", host="h", port=1)
    taken(client)
    channel.writers[0].limit = 1000
    near, far = socket.socketpair()
    near.setblocking(False)
    with far:
        far.send(b"request")
        connection = Connection(channel, near)
        connection.serve(0.0, 0)
        assert [bytes(frame[3]) for frame in taken(client)] == [b"request"]
        far.send(b"more")
        connection.serve(0.0, 0)
        assert taken(client) == []
        connection.abort()


@pytest.mark.parametrize("before", [0, 60_000, 300_000])
@pytest.mark.parametrize("beside", [0, 500_000, 700_000, 750_000, 760_000])
def test_it_sends_no_more_than_the_neighbours_leave_room_for(beside: int, before: int) -> None:
    """`before`: the bytes that the connection has moved, so that its next read is short or long."""
    client = Channels(Role.CLIENT)
    channel, *others = [opened(client, "tcp", host="h", port=1) for _ in range(4)]
    for each in (channel, *others):
        each.writers[0].limit = 1 << 30
    near, far = (bulky(end) for end in socket.socketpair())
    with far:
        connection = Connection(channel, near)
        fill(far, before)
        moved = b""
        while connection.serve(0.0, READ):
            moved += sent(client)
        moved += sent(client)
        for other in others:
            other.write(0, bytes(min(beside, MAX_QUEUED)))
            beside -= min(beside, MAX_QUEUED)
        fill(far, 700_000)
        while len(moved) < before + 700_000:
            connection.serve(0.0, READ)
            assert client._outbox.data <= QUEUED_HIGH + MAX_QUEUED
            moved += sent(client)
        assert moved == bytes(before + 700_000)
        connection.abort()


def bulky(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return sock


def fill(sock: socket.socket, size: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while size:
            size -= sock.send(bytes(size))
    assert not size


def sent(client: Channels) -> bytes:
    """The data of the first channel that `client` sends. Those of the others are dropped."""
    return b"".join(bytes(payload) for kind, _, number, payload in taken(client) if (kind, number) == (DATA, 1))
