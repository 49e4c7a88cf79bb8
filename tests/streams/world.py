"""Two ends of a stream in one process, with links that are cut, and a model of what has to arrive."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("medusa.protocol.resume", "medusa.protocol.channels")

CLIENT, AGENT = 0, 1


class Code:
    """The modules of the layers under test; with `changes`, of changed sources."""

    def __init__(self) -> None:
        self.byte_queue = import_module("medusa.protocol.resume.byte_queue")
        self.stream = import_module("medusa.protocol.resume.stream")
        self.multiplexer = import_module("medusa.protocol.channels.multiplexer")
        self.table = import_module("medusa.protocol.channels.table")
        self.kinds = import_module("medusa.protocol.channels.kinds")
        self.limits = import_module("medusa.protocol.channels.limits")
        self.frames = import_module("medusa.protocol.channels.frames")


class _Changed(MetaPathFinder, Loader):
    def __init__(self, name: str, old: str, new: str) -> None:
        self._name, self._old, self._new = name, old, new

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        source = (ROOT / (self._name.replace(".", "/") + ".py")).read_text()
        assert source.count(self._old) == 1, f"{self._old} stands {source.count(self._old)} times in {self._name}"
        exec(compile(source.replace(self._old, self._new), self._name, "exec", dont_inherit=True), module.__dict__)


@contextmanager
def changed(name: str, old: str, new: str) -> Iterator[Code]:
    """Loads the layers once more, with `new` in the place of `old` in the source of module `name`."""
    Code()  # all modules are there
    kept = {module: sys.modules.pop(module) for module in list(sys.modules) if module.startswith(PACKAGES)}
    finder = _Changed(name, old, new)
    sys.meta_path.insert(0, finder)
    try:
        yield Code()
    finally:
        sys.meta_path.remove(finder)
        for module in [module for module in sys.modules if module.startswith(PACKAGES)]:
            del sys.modules[module]
        sys.modules.update(kept)
        for package in PACKAGES:
            parent, _, child = package.rpartition(".")
            setattr(sys.modules[parent], child, sys.modules[package])


class End:
    """One end: a stream, its channels, and the messages on the way to the peer."""

    def __init__(self, code: Code, number: int) -> None:
        self.stream: Any = code.stream.Stream()
        role = code.kinds.Role.CLIENT if number == CLIENT else code.kinds.Role.AGENT
        self.channels: Any = code.multiplexer.Channels(role, self.stream.round_trip.get)
        self.way: deque[bytes] = deque()
        self.events: list[Any] = []
        self.open: dict[int, Any] = {}
        self.stream.link_up(0)


class World:
    """Two ends, joined by a link, and what each sub has to carry.

    Attributes:
        lazy: True if channels are not accepted as soon as they come.
        written, read: map (the end that reads, channel, sub) to the bytes so far.
    """

    def __init__(self, code: Code | None = None) -> None:
        self.code = code or Code()
        self.ends = (End(self.code, CLIENT), End(self.code, AGENT))
        self.now, self.lazy = 0.0, False
        self.written: dict[tuple[int, int, int], bytearray] = {}
        self.read: dict[tuple[int, int, int], bytearray] = {}
        self.readers: dict[tuple[int, int, int], Any] = {}
        self.limits: dict[tuple[int, int, int], int] = {}

    # ------------------------------------------------------------------ steps

    def open(self, kind: str, **parameters: object) -> Any:
        channel = self.ends[CLIENT].channels.open(kind, **parameters)
        self._add(CLIENT, channel)
        return channel

    def _add(self, number: int, channel: Any) -> None:
        self.ends[number].open[channel.number] = channel
        for sub, reader in channel.readers.items():
            key = (number, channel.number, sub)
            self.readers[key], self.limits[key] = reader, 0
            self.written.setdefault(key, bytearray())
            self.read.setdefault(key, bytearray())

    def write(self, number: int, channel: int, sub: int, data: bytes) -> int:
        """Writes as much of `data` as there is room for, at end `number`. Returns how much."""
        writer = self.ends[number].open[channel]
        size: int = min(len(data), writer.room(sub))
        writer.write(sub, data[:size])
        self.written.setdefault((1 - number, channel, sub), bytearray()).extend(data[:size])
        return size

    def take(self, number: int, channel: int, sub: int, size: int) -> None:
        """Reads at most `size` bytes at end `number`."""
        key = (number, channel, sub)
        self.read[key] += self.readers[key].read(size, self.now)

    def send(self, number: int, most: int = 1000) -> int:
        """Puts messages of end `number` on their way. Returns how many."""
        end = self.ends[number]
        for count in range(most):
            message = end.stream.next_message(end.channels.take, self.now)
            if message is None:
                return count
            end.way.append(b"".join(message))
        return most

    def deliver(self, number: int, most: int = 1000) -> None:
        """Delivers messages of end `number` to the other end."""
        way, other = self.ends[number].way, self.ends[1 - number]
        for _ in range(min(most, len(way))):
            data = other.stream.receive(way.popleft(), self.now)
            for event in other.channels.receive(data, self.now):
                self.happened(1 - number, event)

    def happened(self, number: int, event: Any) -> None:
        self.ends[number].events.append(event)
        frames = self.code.frames
        assert event.type != frames.GOAWAY, event
        if event.type == frames.OPEN:
            self._add(number, event.channel)
            if not self.lazy:
                event.channel.accept()
        if event.type == frames.EOF:
            assert event.value == ""

    def cut(self, lost: tuple[int, int] = (1000, 1000)) -> None:
        """Cuts the link, which loses the last messages on their way, and makes a new one."""
        for end, count in zip(self.ends, lost, strict=True):
            for _ in range(min(count, len(end.way))):
                end.way.pop()
        for number in (CLIENT, AGENT):
            self.deliver(number)
        for end in self.ends:
            end.stream.link_down()
            assert end.stream.next_message(end.channels.take, self.now) is None
        received = [end.stream.received for end in self.ends]
        for end, arrived in zip(self.ends, reversed(received), strict=True):
            assert end.stream.link_up(arrived)

    # ------------------------------------------------------------------ what always holds

    def check(self) -> None:
        for number, end in enumerate(self.ends):
            peer = self.ends[1 - number]
            assert end.stream.acknowledged <= peer.stream.received <= end.stream.sent
            assert end.stream.kept <= self.code.stream.MAX_KEPT + self.code.stream.MAX_KEPT_CONTROL
            windows = end.channels._windows
            assert 0 <= windows.budget.used <= self.code.limits.MAX_WINDOWS
            mine = [self.readers[key] for key in self.readers if key[0] == number]
            assert sum(len(reader) for reader in mine) <= windows.budget.used
            granted = sum(r.limit - r.taken for r in mine if not (r.over or r.stopped))
            assert granted <= windows.budget.used
        for key, reader in self.readers.items():
            assert self.written[key].startswith(self.read[key])
            assert reader.taken == len(self.read[key]) or reader.stopped
            assert reader.limit >= self.limits[key]
            most = self.code.limits.MAX_WINDOW + self.code.limits.LONG_RATE * self.now  # no round trip took longer
            assert reader.limit - reader.taken <= most
            assert reader.received <= reader.limit
            self.limits[key] = reader.limit
            writer = self.ends[1 - key[0]].open.get(key[1])
            if writer is not None:
                state = writer.writers[key[2]]
                assert state.sent <= state.written <= state.limit <= reader.limit

    # ------------------------------------------------------------------ the end

    def settle(self) -> None:
        """Goes on until nothing moves, with all that arrives read."""
        idle = 0
        while idle < 3:
            moved = sum(self.send(number) for number in (CLIENT, AGENT))
            for number in (CLIENT, AGENT):
                self.deliver(number)
            for key, reader in self.readers.items():
                if len(reader):
                    moved += 1
                    self.take(*key, len(reader))
            self.now += 0.06
            idle = 0 if moved else idle + 1
        self.check()

    def finish(self) -> None:
        """Ends all that is open, in good order, and checks that everything has arrived and nothing is held."""
        self.settle()
        for end in self.ends:
            for channel in end.open.values():
                for sub in channel.writers:
                    channel.end(sub)
        self.settle()
        for key, reader in self.readers.items():
            if not reader.stopped:
                assert self.read[key] == self.written[key]
                assert reader.complete
        for channel in self.ends[CLIENT].open.values():
            channel.close()
        self.settle()
        for end in self.ends:
            assert end.stream.kept == 0
            assert end.stream.deadline() is None
            assert end.channels._table.channels == {}
            assert end.channels._windows.budget.used == 0
            assert end.channels._outbox.data == 0
            assert not end.channels._outbox._turns
