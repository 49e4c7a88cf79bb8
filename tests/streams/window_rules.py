"""The rules of windows."""

from __future__ import annotations

import struct
from typing import Any

from tests.streams.rule import rule
from tests.streams.wire import KIB, PLENTY, fails, fill, frame, opened, session, taken
from tests.streams.world import Code


@rule
def a_window_can_be_filled_and_not_exceeded(code: Code) -> None:
    for size, wrong in ((64 * KIB, ""), (64 * KIB + 1, "window-overrun")):
        client, _, mine, _ = session(code, command="x")
        data = bytes(size)
        events: list[Any] = []
        for at in range(0, size, 30_000):
            events += client.receive(frame(4, 1, 1, data[at : at + 30_000]), 0.0)
        ends = [event.value.code for event in events if event.type == 11]
        assert ends == ([wrong] if wrong else [])
        if not wrong:
            assert (len(mine.readers[1]), mine.readers[1].limit) == (size, size)


@rule
def a_limit_is_sent_when_a_quarter_is_to_be_given(code: Code) -> None:
    client, agent, mine, peer = session(code, "tcp", host="h", port=1)
    assert peer.room(0) == 64 * KIB
    peer.write(0, bytes(64 * KIB))
    for _ in range(2):
        client.receive(b"".join(agent.take(*PLENTY)), 0.0)
    assert peer.room(0) == 0
    reader = mine.readers[0]
    reader.read(9 * KIB, 0.0)  # the window is 73 KiB now; 18 KiB may be given, its quarter is 18.25
    assert taken(client) == []
    assert reader.limit == 64 * KIB
    reader.read(512, 0.0)
    assert taken(client) == [(7, 0, 1, struct.pack("!Q", 83 * KIB))]
    reader.read(64 * KIB, 0.0)
    size = 64 * KIB + 64 * KIB
    assert taken(client) == [(7, 0, 1, struct.pack("!Q", 64 * KIB + size))]


@rule
def a_window_grows_and_shrinks_with_what_is_spare(code: Code) -> None:
    limits, kinds = code.limits, code.kinds
    client = code.multiplexer.Channels(kinds.Role.CLIENT)
    first, second, *others = (opened(client, "tcp", host="h", port=1).readers[0] for _ in range(11))
    spare = limits.MAX_WINDOWS - limits.MIN_WINDOW * (limits.MAX_CHANNELS - 11)
    left = spare - 64 * KIB * (1 + len(others))
    assert first.limit == second.limit == 64 * KIB
    for reader in (*others[:2], first):
        for _ in range(102):
            fill(client, reader)
    left -= limits.MAX_WINDOW - 64 * KIB + 31 * 64 * KIB  # the second one leaves half a window to others
    assert first.limit - first.taken == left < limits.MAX_WINDOW
    before = second.limit
    fill(client, second)
    assert second.limit - before == 64 * KIB  # nothing is to spare
    fill(client, first)
    assert first.limit - first.taken < left
    fill(client, second)
    assert second.limit - second.taken > 64 * KIB
    assert client._windows.budget.used <= spare


@rule
def all_channels_get_a_window(code: Code) -> None:
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT)
    sizes = [opened(client, "tcp", host="h", port=1).readers[0].limit for _ in range(768)]
    assert sizes[:119] == [64 * KIB] * 119
    assert sizes[120:] == [4 * KIB] * 648
    assert 9 << 20 < sum(sizes) <= 10 << 20
    assert client._windows.budget.used == sum(sizes)
    fails("", lambda: client.open("tcp", host="h", port=1))
    for number in range(1, 1536, 2):
        client.receive(frame(10, 0, number), 0.0)
    assert client._windows.budget.used == 0
    assert opened(client, "tcp", host="h", port=1).readers[0].limit == 64 * KIB


@rule
def a_window_is_larger_on_a_long_link(code: Code) -> None:
    pipe, terminal = code.limits.MAX_WINDOW, code.limits.MAX_TERMINAL_WINDOW
    piece = code.limits.MAX_QUEUED
    for pty, sizes in (
        (None, (pipe, pipe, pipe, pipe // 2 + 10 * piece)),
        ({"columns": 80, "lines": 25}, (terminal, terminal, terminal + 5 * piece, terminal + 10 * piece)),
    ):
        for trip, size in zip((0.0, 0.01, 0.0625, 0.125), sizes, strict=True):
            client = code.multiplexer.Channels(code.kinds.Role.CLIENT, float(trip).__float__)
            reader = opened(client, "session", command="x", pty=pty).readers[1]
            for _ in range(101):
                fill(client, reader)
            assert reader.limit - reader.taken == size


@rule
def a_terminals_window_is_what_its_reader_takes(code: Code) -> None:
    trip = 0.05
    client = code.multiplexer.Channels(code.kinds.Role.CLIENT, lambda: trip)
    reader = opened(client, "session", pty={"columns": 80, "lines": 25}).readers[1]
    assert reader.limit == 128 * KIB
    now = 5.0
    for _ in range(50):  # 10 KiB each 20 ms: 100 KiB in 200 ms
        now += 0.02
        client.receive(frame(4, 1, 1, bytes(min(10 * KIB, reader.limit - reader.received))), now)
        reader.took(len(reader), now)
    assert 90 * KIB < reader._window.size <= 110 * KIB
    assert reader.limit - reader.taken <= 110 * KIB
    client.receive(frame(4, 1, 1, b"x"), now + 9)
    reader.took(1, now + 9)
    assert reader._window.size == 16 * KIB
    before = reader.limit
    while reader.received < before:
        client.receive(frame(4, 1, 1, bytes(min(KIB, before - reader.received))), now + 9)
    reader.took(len(reader), now + 20)
    assert reader.limit > before
