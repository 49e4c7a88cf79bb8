"""Records and frames as a peer builds and reads them, and ends that are ready for a test."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest

from tests.streams.world import Code

KIB = 1024
NOISE = random.Random(2).randbytes(1 << 17)
PLENTY = (65518, 1 << 22, 1 << 22)


def record(kind: int, offset: int, data: bytes = b"") -> bytes:
    return struct.pack("!BQ", kind, offset) + data


def frame(kind: int, sub: int, channel: int, payload: bytes = b"") -> bytes:
    return struct.pack("!BBHI", kind, sub, len(payload), channel) + payload


def cut_frames(data: bytes, *, partial: bool = False) -> list[tuple[int, int, int, bytes]]:
    """Type, sub, channel and payload of each frame in `data`. With `partial`, a part of one may follow."""
    found, at = [], 0
    while len(data) - at >= (8 if partial else 1):
        kind, sub, length, channel = struct.unpack_from("!BBHI", data, at)
        if partial and at + 8 + length > len(data):
            break
        found.append((kind, sub, channel, data[at + 8 : at + 8 + length]))
        at += 8 + length
    assert partial or at == len(data)
    return found


def taken(channels: Any, *sizes: int) -> list[tuple[int, int, int, bytes]]:
    """The next frames of an end."""
    return cut_frames(b"".join(channels.take(*(sizes or PLENTY))))


def linked(code: Code) -> Any:
    stream = code.stream.Stream()
    assert stream.link_up(0)
    return stream


def sends(stream: Any, *pieces: bytes, now: float = 0.0) -> bytes | None:
    message = stream.next_message(lambda *room: list(pieces), now)
    return None if message is None else b"".join(message)


def fails(code: str, function: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:
        function()
    assert getattr(caught.value, "code", "") == code


def session(code: Code, kind: str = "session", **parameters: object) -> tuple[Any, Any, Any, Any]:
    """Two ends, and both ends of one channel that was accepted: a client's, an agent's."""
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    agent = code.multiplexer.Channels(code.kinds.Role.AGENT)
    mine = client.open(kind, **parameters)
    (offer,) = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    offer.channel.accept()
    client.receive(b"".join(agent.take(*PLENTY)), 0.0)
    agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    return client, agent, mine, offer.channel


def opened(channels: Any, kind: str, **parameters: object) -> Any:
    """A channel that the peer has accepted."""
    channel = channels.open(kind, **parameters)
    channels.receive(frame(2, 0, channel.number, b"{}"), 0.0)
    return channel


def fill(channels: Any, reader: Any, now: float = 0.0, part: int = 1) -> int:
    """Lets a part of what `reader` allows arrive, and takes it. Returns the size."""
    sub, channel = reader._key
    size = rest = (reader.limit - reader.received) // part
    while rest:
        length = min(rest, 32 * KIB)
        assert channels.receive(frame(4, sub, channel, bytes(length)), now)[0].type == 4
        rest -= length
    assert len(reader) == size
    reader.took(size, now)
    return int(size)
