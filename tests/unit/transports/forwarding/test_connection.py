"""One forwarded connection."""

from __future__ import annotations

import socket

from medusa.protocol.channels.kinds import Role
from medusa.protocol.channels.multiplexer import Channels
from medusa.transports.forwarding.connection import Connection
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
