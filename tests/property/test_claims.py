"""No two reflectors have one name, and no name stays claimed, whatever the directory does to their questions.

A question is carried out at once, later or never, and its answer arrives or is lost. Reflectors are
killed, or suspended for longer than their leases; the directory may lose its contents.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from medusa.directory import Claim, Directory, DirectoryError, Mark, Owner, SessionExists
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims

RUNS = 100
STEPS = 60
NAMES = [SessionName(text) for text in "abc"]
QUESTIONS = ("claim", "inherit", "renew", "release", "lookup", "grant", "keep", "touch", "revoke")


class Network(MemoryDirectory):
    """The directory as one reflector sees it, over a network. The claims are in `store`."""

    waits = True

    def __init__(self, world: World) -> None:
        super().__init__()
        for name in QUESTIONS:
            setattr(self, name, self._asked(world, getattr(world.store, name)))

    def spend(self, mark: str, ttl: float) -> bool:
        return True

    def reserve(self, mark: str, token: str, ttl: float) -> Mark:
        return Mark.FREE

    @staticmethod
    def _asked(world: World, question: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: object) -> Any:
            gevent.sleep(0)
            fate = world.fate()
            if fate == "late":
                world.late.append(lambda: question(*arguments))
            if fate in ("late", "never"):
                raise DirectoryError(fate)
            answer = question(*arguments)
            gevent.sleep(0)
            if fate == "lost":
                raise DirectoryError(fate)
            return answer

        return ask


class Reflector:
    """One process. `sessions`: the names of those that live in it."""

    def __init__(self, world: World, address: str) -> None:
        self.owner = Owner(address)
        self.claims = Claims(Network(world), self.owner, Timeouts())
        self.sessions: set[SessionName] = set()
        self.claims.on_lost = self.end
        lease = self.claims._requests.lease
        lease._clock = lambda: world.now
        self.world = world

    def is_sure(self, name: SessionName) -> bool:
        claim = self.claims._claims.get(name)
        return claim is not None and self.claims._requests.is_sure(claim)

    def open(self, name: SessionName) -> None:
        with contextlib.suppress(SessionExists, DirectoryError):
            self.claims.take(name)
            self.sessions.add(name)
            self.world.opened(self, name)

    def end(self, name: SessionName) -> None:
        if name in self.sessions:
            self.sessions.discard(name)
            self.claims.release(name)

    def check(self) -> None:
        """One round of what it does all the time."""
        if self.claims._asker.is_answering():
            self.claims._renewal._keep_leases()
            self.claims._requests.undo(self.claims._claims)
            self.claims._renewal._check_all()


class World:
    """Reflectors and their directory. `chance` decides what happens."""

    def __init__(self, chance: random.Random) -> None:
        self.now = 1000.0
        self.chance = chance
        self.store = MemoryDirectory(lambda: self.now)
        self.late: list[Callable[[], object]] = []
        self.trouble = 0.1
        self.forgot = False
        self.stolen: list[SessionName] = []
        self.reflectors = [Reflector(self, str(number)) for number in range(3)]

    def fate(self) -> str:
        return self.chance.choice(["late", "never", "lost"]) if self.chance.random() < self.trouble else "answered"

    def opened(self, here: Reflector, name: SessionName) -> None:
        """Another reflector has the name only if it may know that its lease has expired."""
        for other in self.reflectors:
            if other is not here and name in other.sessions and not self.forgot:
                self.stolen += [name] * other.is_sure(name)

    def step(self) -> None:
        reflector, name = self.chance.choice(self.reflectors), self.chance.choice(NAMES)
        act = self.chance.choice([*["open", "check"] * 6, *["end", "late"] * 3, "time", "kill", "forget"])
        if act == "open":
            gevent.spawn(reflector.open, name)
        elif act == "check":
            gevent.spawn(reflector.check)
        elif act == "end":
            reflector.end(name)
        elif act == "late" and self.late:
            self.carry_out(self.late.pop(self.chance.randrange(len(self.late))))
        elif act == "time":
            self.now += self.chance.choice([1, 25, 61])
        elif act == "kill" and self.chance.random() < 0.5:
            address = self.chance.choice([reflector.owner.address, str(self.chance.random())])
            self.reflectors[self.reflectors.index(reflector)] = Reflector(self, address)
        elif act == "forget" and self.chance.random() < 0.2:
            self.forgot = True
            self.store.__init__(lambda: self.now)  # type: ignore[misc]
        for _ in range(self.chance.randrange(8)):
            gevent.sleep(0)

    @staticmethod
    def carry_out(question: Callable[[], object]) -> None:
        with contextlib.suppress(Exception):
            question()

    def calm_down(self) -> None:
        """All that is under way ends, and no question fails any more."""
        self.trouble = 0.0
        for _ in range(200):
            gevent.sleep(0)
        for question in self.late:
            self.carry_out(question)
        for seconds in (0, 0, 30, 30, 30):
            self.now += seconds
            for reflector in self.reflectors:
                reflector.check()
        for _ in range(200):
            gevent.sleep(0)


@pytest.mark.parametrize("seed", range(RUNS))
def test_each_name_has_one_owner(seed: int) -> None:
    world = World(random.Random(seed))
    for _ in range(STEPS):
        world.step()
    assert world.stolen == []
    world.calm_down()
    owned = [(str(name), reflector.owner) for reflector in world.reflectors for name in reflector.sessions]
    assert world.store.entries(100) == dict(owned)
    assert len(dict(owned)) == len(owned)


def test_the_questions_are_those_of_a_directory() -> None:
    assert set(QUESTIONS) <= set(Directory.__abstractmethods__) - {"entries"}
    assert Claim("s", Owner("a"), "t").lease == ""
