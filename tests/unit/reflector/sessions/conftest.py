"""A registry with real connections in this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from structlog.types import EventDict

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims
from medusa.reflector.sessions.pair.driver import Pair
from medusa.session import Input, Side, State
from medusa.transports.adopt import adopt_plain, adopt_websocket
from tests.peers import LINKUP, TEXT, Peer
from tests.unit.reflector.conftest import GreenPeer, run_loop
from tests.unit.reflector.registries import registry_parts
from tests.unit.reflector.sessions.leased import Store, on
from tests.waiting import Clock

NAME = SessionName("id")
OWNER = Owner("http://127.0.0.1:1")
CONFIG = ReflectorConfig(timeouts=Timeouts(close_timeout=0.1))


@pytest.fixture
def store(clock: Clock) -> Store:
    """The directory of the tests of leases."""
    return Store(clock)


@pytest.fixture
def claims(store: Store, clock: Clock, logs: list[EventDict]) -> Claims:
    return on(store, clock)


class Bench:
    """A registry, and raw peers that are attached to its sessions."""

    def __init__(self, directory: MemoryDirectory | None = None, config: ReflectorConfig = CONFIG) -> None:
        parts = registry_parts(config, directory, OWNER)
        self.registry, self.claims, self.metrics = parts.registry, parts.claims, parts.metrics
        self._sockets: list[socket.socket] = []

    def connection(self) -> tuple[socket.socket, socket.socket]:
        """(the peer's end, the reflector's end)."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
        self._sockets.append(theirs)
        return theirs, ours

    def attach(self, session: Pair, side: Side, *announced: str) -> Peer:
        """A peer that speaks websocket, and announces these features."""
        theirs, ours = self.connection()
        session.attach(side, adopt_websocket(ours), "127.0.0.1:2", announced=announced)
        return GreenPeer(theirs)

    def attach_plain(self, session: Pair, side: Side) -> socket.socket:
        """A peer without frames."""
        theirs, ours = self.connection()
        session.attach(side, adopt_plain(ours), "127.0.0.1:2")
        return theirs

    def waiting(self) -> tuple[Pair, Peer]:
        """A session whose client is here."""
        session = self.registry.open(NAME, "127.0.0.1:2")
        client = self.attach(session, Side.CLIENT)
        run_loop()
        assert session.machine.state is State.WAITING
        return session, client

    def linked(self, *announced: str) -> tuple[Pair, Peer, Peer]:
        """A session with both its sides, after the link-up. `announced`: the features of the agent."""
        session, client = self.waiting()
        agent = self.attach(self.registry.add_agent(NAME), Side.AGENT, *announced)
        run_loop()
        client.expect(TEXT, LINKUP)
        agent.expect(TEXT, LINKUP)
        return session, client, agent

    def joined(self) -> tuple[Pair, Peer]:
        """A client that has joined the session, and for which the agent is called."""
        pair = self.registry.join(NAME, "127.0.0.1:3")
        client = self.attach(pair, Side.CLIENT)
        run_loop()
        return pair, client

    def leg(self) -> tuple[Pair, Peer, Peer]:
        """A further pair of the session, linked."""
        pair, client = self.joined()
        agent = self.attach(self.registry.add_agent(NAME, "127.0.0.1:4", pair.leg_id), Side.AGENT)
        run_loop()
        client.expect(TEXT, LINKUP)
        agent.expect(TEXT, LINKUP)
        return pair, client, agent

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        for session in self.registry.sessions():
            session.tell(Input.SHUTDOWN)
        self.registry.wait_until_empty(5)


def outcomes(logs: list[EventDict]) -> list[str]:
    """Of the sessions that have ended."""
    return [entry["outcome"] for entry in logs if entry["event"] == "session ended"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()
