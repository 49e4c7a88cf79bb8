"""Which check an EOF has: CRC-32 in channels of connections and terminals, if both ends know it, else SHA-256."""

from __future__ import annotations

import json
import zlib
from hashlib import sha256
from typing import Any

import pytest

from medusa.protocol.channels.frames import CLOSE, DATA, END, EOF, OPEN, OPENED, WINDOW
from medusa.protocol.channels.kinds import KINDS, Role
from medusa.protocol.channels.multiplexer import Channels
from tests.streams.wire import PLENTY, frame, opened, session, taken
from tests.streams.world import Code

CODE = Code()
BYTES = b"some bytes"
ROOM = frame(WINDOW, 0, 1, (1 << 16).to_bytes(8, "big"))
CRC32, SHA256 = zlib.crc32(BYTES).to_bytes(32, "big"), sha256(BYTES).digest()
SHORT: dict[str, dict[str, object]] = {
    "tcp": {"host": "h", "port": 1},
    "unix": {"path": "/s"},
    "accepted": {"listener": 1},
    "session": {"pty": {"columns": 80, "lines": 25}},
    "attach": {},
}
"""The parameters of channels with the short check, by their kind."""


def check_sent(end: Any, channel: Any) -> bytes:
    """The check in the EOF that `end` sends after BYTES."""
    sub = min(channel.writers)
    channel.write(sub, BYTES)
    channel.end(sub)
    *_, (kind, _, _, payload) = taken(end)
    assert kind == EOF
    count, check = END.unpack(payload)
    assert count == len(BYTES)
    return bytes(check)


def pair(kind: str) -> tuple[Any, Any, Any, Any]:
    """Two ends, each with its end of an open channel: first those of the end that has opened it."""
    role = KINDS[kind].opener
    opener, other = Channels(role), Channels(Role(3 - role))
    mine = opener.open(kind, **SHORT[kind])
    (offer,) = other.receive(b"".join(opener.take(*PLENTY)), 0.0)
    offer.channel.accept()
    opener.receive(b"".join(other.take(*PLENTY)), 0.0)
    other.receive(b"".join(opener.take(*PLENTY)), 0.0)
    return opener, mine, other, offer.channel


@pytest.mark.parametrize("kind", SHORT)
def test_a_connection_or_terminal_has_the_short_check_in_both_directions(kind: str) -> None:
    opener, mine, other, theirs = pair(kind)
    assert check_sent(opener, mine) == CRC32
    assert check_sent(other, theirs) == CRC32


@pytest.mark.parametrize("kind", SHORT)
@pytest.mark.parametrize("check", [CRC32, SHA256, bytes(32)])
def test_a_wrong_check_ends_the_channel(kind: str, check: bytes) -> None:
    opener, mine, _, _ = pair(kind)
    ((sub, reader),) = mine.readers.items()
    data = frame(DATA, sub, mine.number, BYTES)
    *_, last = opener.receive(data + frame(EOF, sub, mine.number, END.pack(len(BYTES), check)), 0.0)
    right = check == CRC32
    assert (last.type, reader.complete) == ((EOF, True) if right else (CLOSE, False))
    assert right or last.value.code == "digest"


def test_an_earlier_peer_that_accepts_has_the_long_check() -> None:
    client = Channels(Role.CLIENT)
    channel = opened(client, "tcp", host="h", port=1)  # OPENED has no `check`
    client.receive(ROOM, 0.0)
    assert check_sent(client, channel) == SHA256


@pytest.mark.parametrize("check", [{}, {"check": None}, {"check": "md5"}])
def test_an_earlier_or_other_peer_that_opens_has_the_long_check(check: dict[str, object]) -> None:
    agent = Channels(Role.AGENT)
    fields = json.dumps({"kind": "tcp", "host": "h", "port": 1, **check}).encode()
    (offer,) = agent.receive(frame(OPEN, 0, 1, fields), 0.0)
    offer.channel.accept()
    (answer, _) = taken(agent)
    assert (answer[0], answer[3]) == (OPENED, b"{}")
    agent.receive(ROOM, 0.0)
    assert check_sent(agent, offer.channel) == SHA256


def test_a_command_keeps_the_long_check_whatever_its_peer_says() -> None:
    client = Channels(Role.CLIENT)
    mine = client.open("session", command="x")
    assert b"check" not in b"".join(client.take(*PLENTY))
    client.receive(frame(OPENED, 0, 1, b'{"check":"crc32"}') + ROOM, 0.0)
    assert check_sent(client, mine) == SHA256
    _, agent, _, other = session(CODE, command="x", check="crc32")
    assert check_sent(agent, other) != CRC32


def test_an_end_before_the_channel_is_open_is_right() -> None:
    client, agent = Channels(Role.CLIENT), Channels(Role.AGENT)
    mine = client.open("tcp", host="h", port=1)
    (offer,) = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    offer.channel.accept()  # its OPENED and the EOF meet
    mine.end(0)
    (event,) = agent.receive(b"".join(client.take(*PLENTY)), 0.0)
    assert (event.type, event.value, offer.channel.readers[0].complete) == (EOF, "", True)
