"""What passes between a channel of SSH and one of the agent, in the order in which asyncssh tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncssh
import pytest

from medusa.client.ssh.relay import PENDING_HIGH, Relay


class Chan:
    """asyncssh's channel: what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self.told.append((name, *given))


class Io:
    """The agent's channel, which has room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room, self.told = room, b""

    def read_nowait(self, size: int, sub: int) -> bytes | None:
        return None

    def write_nowait(self, data: bytes) -> int:
        taken = min(self.room, len(data))
        self.room -= taken
        self.told += data[:taken]
        return taken

    def eof(self) -> None:
        self.told += b" eof"


class Whole(Relay):
    """A relay that notes its end."""

    def left(self) -> None:
        io: Any = self._io
        io.told += b" left"


def relay(room: int) -> tuple[Whole, Chan, Any]:
    transport: Any = None
    io: Any = Io(room)
    chan = Chan()
    found = Whole(transport, {})
    found.connection_made(chan)
    found.attach(io)
    return found, chan, io


@pytest.mark.parametrize(("error", "end"), [(None, b" eof left"), (asyncssh.ConnectionLost("x"), b" left")])
def test_end_of_a_channel_that_was_paused(error: Exception | None, end: bytes) -> None:
    found, chan, io = relay(10)
    found.data_received(b"x" * (PENDING_HIGH + 10), None)
    assert chan.told == [("pause_reading",)]
    found.connection_lost(error)  # asyncssh has skipped eof_received
    io.room = PENDING_HIGH - 1
    io.on_room(0)
    assert io.told == b"x" * (PENDING_HIGH + 9)
    io.room = 1
    io.on_room(0)
    assert io.told == b"x" * (PENDING_HIGH + 10) + end


def test_reading_goes_on_after_the_agent_has_taken_bytes() -> None:
    found, chan, io = relay(0)
    found.data_received(b"x" * PENDING_HIGH, None)
    found.eof_received()
    io.room = 1
    io.on_room(0)
    assert chan.told == [("pause_reading",), ("resume_reading",)]
    io.room = PENDING_HIGH
    io.on_room(0)
    assert io.told == b"x" * PENDING_HIGH + b" eof"
