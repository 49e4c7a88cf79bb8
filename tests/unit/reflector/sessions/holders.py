"""Agents that hold their sessions: their home links, and the clients for whom they are called."""

from __future__ import annotations

import time
from typing import Any

from medusa.directory.memory import MemoryDirectory
from medusa.protocol.control import Call, Ticket, parse
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.sessions.life.home import Home
from medusa.reflector.sessions.life.session import Session
from medusa.reflector.sessions.pair.driver import Pair
from medusa.reflector.tickets import ticket as tickets
from medusa.session import Side
from medusa.transports.adopt import adopt_websocket
from tests.peers import CLOSE, LINKUP, TEXT, Peer
from tests.unit.reflector.conftest import GreenPeer, run_loop
from tests.unit.reflector.sessions.conftest import NAME, Bench

ONE, OTHER = "1" * 32, "2" * 32
BACK = tickets.Ticket(0, 60, int(time.time()) - 100, "ab" * 8)
"""What a ticket says of a session that was linked 100 s ago."""


class Renewal:
    """A renewal of tickets that are numbered."""

    def __init__(self) -> None:
        self.due, self.given = time.monotonic() + 1000, 0

    def renew(self) -> str:
        self.due = time.monotonic() + 1000
        self.given += 1
        return "ticket-%d" % self.given


class Holding(Bench):
    """A bench whose agent holds its session."""

    def __init__(self, **options: Any) -> None:
        timeouts = options.pop("timeouts", Timeouts(close_timeout=0.1))
        super().__init__(MemoryDirectory(), ReflectorConfig(timeouts=timeouts, **options))
        self.renewals: list[Renewal] = []

    @property
    def session(self) -> Session:
        (session,) = self.registry.sessions()
        return session

    def home(self, incarnation: str = ONE, hold: float = 60.0, back: tickets.Ticket | None = None) -> tuple[Home, Peer]:
        """A home link that has come."""
        home = self.registry.hold(NAME, "127.0.0.1:9", hold, incarnation, back)
        return home, self._enter(home, Side.AGENT, Renewal())

    def client(
        self, *, joins: bool = False, back: tickets.Ticket | None = None, holds: bool = True
    ) -> tuple[Pair, Peer]:
        """A client that has come; `holds`: with a ticket."""
        add = self.registry.join if joins else self.registry.open
        pair = add(NAME, "127.0.0.1:8", None, back)
        return pair, self._enter(pair, Side.CLIENT, Renewal() if holds else None)

    def _enter(self, place: Pair | Home, side: Side, renewal: Renewal | None) -> Peer:
        theirs, ours = self.connection()
        place.attach(side, adopt_websocket(ours), "127.0.0.1:7", renewal=renewal)
        run_loop()
        return GreenPeer(theirs)

    def answer(self, home: Peer) -> Peer:
        """The link of the agent that was called."""
        leg = self.attach(self.registry.add_agent(NAME, "", called(home)), Side.AGENT)
        run_loop()
        leg.expect(TEXT, LINKUP)
        return leg

    def linked(self, *announced: str) -> Any:  # in place of a pair without home
        """(home link, client, the agent's link to it)."""
        _, home = self.home()
        _, client = self.client()
        leg = self.answer(home)
        run_loop()
        return home, client, leg


def texts(peer: Peer) -> list[Any]:
    """The control messages that have come."""
    found = []
    while not peer.quiet(0):
        found.append(parse(peer.word().payload.decode()))
    return found


def called(home: Peer) -> str:
    """The leg of the next call."""
    while not isinstance(message := parse(home.word().payload.decode()), Call):
        assert isinstance(message, Ticket)
    return message.leg


def close_of(peer: Peer) -> tuple[int, str]:
    """The Close that comes after texts."""
    while (frame := peer.word()).opcode != CLOSE:
        assert frame.opcode == TEXT
    return frame.close
