from __future__ import annotations

from typing import Any

import pytest

from agent.poller import READ
from agent.process.context import Context
from agent.process.terminal_child import GATHER_TIMEOUT
from agent.terminals.description import describe
from agent.terminals.interfaces import Leave
from agent.terminals.queries import is_typed, without_queries
from agent.terminals.registry import Terminals
from agent.terminals.terminal import Terminal
from agent.timeouts import Timeouts
from medusa.protocol.channels.frames import Reason
from medusa.protocol.control import Exit, Resize
from medusa.protocol.resume.budget import Budget

BIG, SMALL = Resize(80, 25), Resize(60, 20)
TIMES = Timeouts()


class Child:
    """A command that writes as much as is read."""

    pid, fd, is_open, exit = 7, 3, True, None

    def __init__(self) -> None:
        self.sizes: list[Resize] = []
        self.gathered: list[float] = []

    def read(self, limit: int, gather_until: float) -> bytes:
        self.gathered.append(gather_until)
        return b"x" * limit

    def resize(self, size: Resize) -> None:
        self.sizes.append(size)

    def deadline(self) -> None:
        return None

    def retry_now(self) -> None:
        pass


class Viewer:
    keep = 10.0

    def __init__(self, size: Resize | None = BIG, *, read_only: bool = False) -> None:
        self.size, self.read_only = size, read_only
        self.parted_at: float | None = None
        self.room, self.has_input = 100, False
        self.closed: Reason | None = None

    def feed(self, now: float) -> None:
        pass

    def catch_up(self) -> None:
        pass

    def close(self, reason: Reason) -> None:
        self.closed = reason


class Ended(list[Any]):
    """The commands that were ended."""

    def end(self, *children: Any) -> None:
        self.extend(children)


@pytest.fixture
def ended() -> Ended:
    return Ended()


@pytest.fixture
def terminal(ended: Ended) -> Terminal:
    context = Context(None, None, {}, lambda line: None, clock=lambda: 0.0)  # type: ignore[arg-type]
    fields = {"name": "", "command": None}
    return Terminal(1, fields, Child(), BIG, Budget(1 << 22), ended, context)  # type: ignore[arg-type]


def output(terminal: Terminal, now: float = 0.0) -> int:
    """How many bytes of output are read now."""
    before = terminal.ring.end
    terminal.serve(now, None)
    return terminal.ring.end - before


def test_output_is_gathered_if_nothing_else_is_ready(terminal: Terminal) -> None:
    """All reads of one round together may take GATHER_TIMEOUT."""
    terminals = Terminals(Budget(1 << 22))
    terminals.add(lambda _: terminal)
    for events in ({3: READ}, {3: READ, 5: READ}):
        terminals.serve(20.0, events)
        terminal.serve(20.001, {3: READ})
    assert isinstance(terminal.child, Child)
    assert terminal.child.gathered == [20.0 + GATHER_TIMEOUT] * 2 + [0.0] * 2


def test_output_waits_for_a_client_whose_link_is_lost_but_not_for_ever(terminal: Terminal) -> None:
    viewer = Viewer()
    terminal.add(viewer)
    assert output(terminal) == 100
    viewer.room, viewer.parted_at = 0, 5.0
    over = 5.0 + TIMES.parted_timeout
    assert (terminal.wanted(over - 1), terminal.deadline(over - 1)) == ({3: 0}, over)
    assert [output(terminal, over - 1), output(terminal, over) > 0] == [0, True]
    viewer.parted_at = None
    assert output(terminal, over) == 0


def test_output_waits_for_nobody_who_only_watches(terminal: Terminal) -> None:
    watcher = Viewer(SMALL, read_only=True)
    watcher.room = 0
    terminal.add(watcher)
    assert output(terminal) > 0
    assert terminal.size == BIG


def test_the_size_is_that_of_the_client_that_typed_last(terminal: Terminal) -> None:
    first, second = Viewer(), Viewer(SMALL)
    terminal.add(first)
    terminal.add(second, redraw=True)
    assert terminal.child.sizes.pop() == Resize(80, 24)  # type: ignore[attr-defined]
    terminal.serve(TIMES.redraw_grace, {})
    assert terminal.child.sizes.pop() == BIG  # type: ignore[attr-defined]
    terminal.typed(second)
    assert terminal.size == SMALL
    terminal.leave(second, Leave.LOST, 0.0)
    assert terminal.size == BIG


def test_a_client_that_attaches_decides_the_size_if_the_other_one_is_away(terminal: Terminal) -> None:
    away = Viewer()
    away.parted_at = 1.0
    terminal.add(away)
    terminal.add(Viewer(SMALL))
    assert terminal.size == SMALL


def test_killed_clients_leave_room_for_others(terminal: Terminal) -> None:
    viewers = [Viewer() for _ in range(3)]
    for viewer in viewers:
        terminal.add(viewer)
    assert not terminal.make_room(3)
    viewers[1].parted_at, viewers[2].parted_at = 5.0, 4.0
    assert terminal.make_room(3)
    assert [viewer.closed is None for viewer in viewers] == [True, True, False]
    assert terminal.viewers == viewers[:2]


@pytest.mark.parametrize(
    ("ways", "lives"),
    [
        ([Leave.DETACHED], True),
        ([Leave.CLOSED], False),
        ([Leave.LOST], False),
        ([Leave.DETACHED, Leave.LOST], True),  # the loss of a link does not end what was detached once
        ([Leave.DETACHED, Leave.CLOSED], False),
        ([Leave.LOST, Leave.DETACHED], False),
    ],
)
def test_what_the_ways_to_leave_mean(terminal: Terminal, ended: Ended, ways: list[Leave], lives: bool) -> None:
    watcher = Viewer(read_only=True)
    terminal.add(watcher)
    for way in ways:
        if not terminal.over:
            viewer = Viewer()
            terminal.add(viewer)
            terminal.leave(viewer, way, 0.0)
    assert (terminal.over, ended == [], watcher.closed is None) == (not lives, lives, lives)
    terminal.leave(watcher, Leave.DETACHED, 0.0)
    assert terminal.kept is lives


@pytest.mark.parametrize("told", [True, False])
def test_how_a_command_ended_is_kept_until_a_client_was_told(terminal: Terminal, told: bool) -> None:
    viewer = Viewer()
    terminal.add(viewer)
    terminal.leave(viewer, Leave.DETACHED, 0.0)
    terminal.child.exit = Exit(3)
    terminal.child.fd = -1
    terminal.serve(1.0, {})
    terminal.serve(1.0 + TIMES.drain_timeout, {})
    assert terminal.ended
    assert describe(terminal)["status"] == 3
    if told:
        terminal.add(viewer)
        terminal.leave(viewer, Leave.TOLD, 5.0)
    at = terminal.deadline(5.0)
    assert at is not None
    assert at <= 5.0 if told else at > 10.0
    terminal.serve(at, {})
    assert terminal.over


QUERIES = [b"\x1b[c", b"\x1b[>0c", b"\x1b[6n", b"\x1b[?6n", b"\x1b[?2004$p", b"\x1b[>q", b"\x1b[?u", b"\x1b[18t"]
QUERIES += [b"\x1bZ", b"\x05", b"\x07", b"\x1b]11;?\x1b\\", b"\x1b]4;1;?\x07", b"\x1bP+q544e\x1b\\", b"\x1b[5i"]
QUERIES += [b"\x1b]52;c;Zm9v\x07", b"\x1b]777;notify;a;b\x07", b"\x1b_Ga=q,i=1;AAAA\x1b\\", b"\x1b[?1;1;0S", b"\x1b[x"]
OTHERS = [b"\x1b[?0c", b"\x1b[2;9H", b"\x1b[31m", b"\x1b[2 q", b"\x1b[22;0t", b"\x1b]2;what?\x07", b"\x1b[>1u"]
OTHERS += [b"\x1b]8;;http://h/?a;?\x1b\\", b"\x1b[2S", b"\x1b[?1049h", b"\x1bPq#0\x1b\\"]


@pytest.mark.parametrize("query", QUERIES)
def test_queries_are_left_out(query: bytes) -> None:
    assert without_queries(b"a" + query + b"b") == b"ab"


@pytest.mark.parametrize("sequence", OTHERS)
def test_other_sequences_stay(sequence: bytes) -> None:
    assert without_queries(b"a" + sequence + b"b") == b"a" + sequence + b"b"


@pytest.mark.parametrize(
    ("data", "typed"),
    [
        (b"x", True),
        (b"\x1b[A", True),
        (b"\x03", True),
        (b"\x1b[I", False),
        (b"\x1b[?64;1;2c\x1b[24;80R", False),
        (b"\x1b]11;rgb:0000/0000/0000\x1b\\", False),
        (b"\x1b[Ix", True),
    ],
)
def test_answers_of_an_emulator_are_not_typed(data: bytes, typed: bool) -> None:
    assert is_typed(data) is typed
