"""Programs that ask by SOCKS, and their places."""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Iterator

import pytest

from medusa.client.forwarding.handshake import TIMEOUT
from medusa.client.forwarding.outgoing import MAX_HANDSHAKES, SILENT_TIMEOUT, Outgoing
from medusa.client.forwarding.report import Report
from medusa.client.places.specs import Side, parse_forward
from medusa.protocol.channels.kinds import Role
from medusa.protocol.channels.multiplexer import Channels
from medusa.transports.forwarding.connections import Connections
from tests.streams.wire import taken
from tests.waiting import Clock

GREETING = b"\x05\x01\x00"
REQUEST = b"\x05\x01\x00\x03\x03web" + struct.pack("!H", 80)


class Stage:
    """Connections to a SOCKS port, with a clock. `programs` are the programs' ends of the connections."""

    def __init__(self) -> None:
        self.clock, self.lines = Clock(), list[str]()
        self.channels = Channels(Role.CLIENT)
        report = Report(self.lines.append, clock=self.clock)
        self.outgoing = Outgoing(self.channels, Connections(), report, self.clock)
        self.programs: list[socket.socket] = []

    def add(self) -> socket.socket:
        here, there = socket.socketpair()
        here.setblocking(False)
        there.setblocking(False)
        self.programs.append(there)
        self.outgoing.add(parse_forward(Side.DYNAMIC, "1080"), here)
        return there

    def fill(self) -> None:
        while len(self.programs) < MAX_HANDSHAKES:
            self.add()

    def send(self, program: socket.socket, data: bytes) -> None:
        program.sendall(data)
        self.outgoing.act(self.outgoing.wanted())

    @property
    def dropped(self) -> list[int]:
        return [number for number, program in enumerate(self.programs) if is_closed(program)]


def is_closed(program: socket.socket) -> bool:
    try:
        return program.recv(100, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.outgoing.close()
    for program in stage.programs:
        program.close()


def test_a_request(stage: Stage) -> None:
    program = stage.add()
    assert stage.outgoing.deadline() == stage.clock() + TIMEOUT
    stage.send(program, GREETING)
    assert program.recv(100) == b"\x05\x00"
    stage.send(program, REQUEST)
    assert (stage.outgoing.wanted(), stage.outgoing.deadline()) == ({}, math.inf)
    assert b'"web"' in b"".join(bytes(frame[3]) for frame in taken(stage.channels))


def test_many_at_once_wait_for_each_other(stage: Stage) -> None:
    stage.fill()
    assert not stage.outgoing.takes_more
    assert stage.dropped == []
    stage.send(stage.programs[0], GREETING)
    assert not stage.outgoing.takes_more
    stage.send(stage.programs[0], REQUEST)
    assert stage.outgoing.takes_more
    assert stage.dropped == []


def test_the_first_silent_program_is_dropped_for_the_next_one(stage: Stage) -> None:
    first = stage.add()
    stage.send(first, GREETING)
    stage.clock.sleep(0.5)
    stage.fill()
    room = stage.outgoing.deadline()
    assert room == stage.clock() + SILENT_TIMEOUT
    assert not stage.outgoing.takes_more
    stage.clock.now = room
    assert stage.outgoing.takes_more
    assert stage.outgoing.deadline() > room
    assert stage.dropped == []
    stage.add()
    assert stage.dropped == [1]


def test_programs_that_have_all_begun_keep_their_places_until_they_are_late(stage: Stage) -> None:
    stage.fill()
    for program in stage.programs:
        program.sendall(GREETING)
    stage.outgoing.act(stage.outgoing.wanted())
    stage.clock.sleep(2 * SILENT_TIMEOUT)
    assert not stage.outgoing.takes_more
    late = stage.outgoing.deadline()
    assert late == stage.clock() + TIMEOUT - 2 * SILENT_TIMEOUT
    stage.clock.now = late
    for program in stage.programs:
        assert program.recv(100) == b"\x05\x00"
    stage.outgoing.act({})
    assert stage.outgoing.takes_more
    assert len(stage.dropped) == MAX_HANDSHAKES


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x05\x02\x01\x02", b"\x04\x02\x00\x50\x7f\x00\x00\x01\x00"]
)
def test_garbage(stage: Stage, garbage: bytes) -> None:
    program = stage.add()
    stage.send(program, garbage)
    program.recv(100)
    assert is_closed(program)
    assert len(stage.lines) == 1
    assert stage.lines[0].startswith("not forwarded: the program ")
