"""A registry with real connections in this process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import gevent
import gevent.socket
import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from medusa.directory import Owner
from medusa.directory.memory import MemoryDirectory
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.driver import SessionDriver
from medusa.session import Input, Side, State
from medusa.transports.adopt import adopt_plain, adopt_websocket
from medusa.transports.relayed import RelayedTransport
from tests.peers import LINKUP, TEXT, Peer
from tests.unit.reflector.registries import registry_parts
from tests.waiting import Deadline, wait_until

NAME = SessionName("id")
OWNER = Owner("http://127.0.0.1:1")
CONFIG = ReflectorConfig(timeouts=Timeouts(close_timeout=0.1))


class GreenPeer(Peer):
    """Lets the rest of the process run while it waits."""

    def _more(self, deadline: Deadline, end_expected: bool = False) -> bool:
        gevent.socket.wait_read(self.sock.fileno(), deadline.left)
        return super()._more(deadline, end_expected)


class Bench:
    """A registry, and raw peers that are attached to its sessions."""

    def __init__(self, directory: MemoryDirectory | None = None, config: ReflectorConfig = CONFIG) -> None:
        parts = registry_parts(config, directory, OWNER)
        self.registry, self.claims = parts.registry, parts.claims
        self._sockets: list[socket.socket] = []

    def connection(self) -> tuple[socket.socket, socket.socket]:
        """(the peer's end, the reflector's end)."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
        self._sockets.append(theirs)
        return theirs, ours

    def attach(self, session: SessionDriver, side: Side) -> Peer:
        """A peer that speaks websocket."""
        theirs, ours = self.connection()
        self._attach(session, side, adopt_websocket(ours))
        return GreenPeer(theirs)

    def attach_plain(self, session: SessionDriver, side: Side) -> socket.socket:
        """A peer without frames."""
        theirs, ours = self.connection()
        self._attach(session, side, adopt_plain(ours))
        return theirs

    def waiting(self) -> tuple[SessionDriver, Peer]:
        """A session whose client is here."""
        session = self.registry.open(NAME, "127.0.0.1:2")
        client = self.attach(session, Side.CLIENT)
        run_loop()
        assert session.machine.state is State.WAITING
        return session, client

    def linked(self) -> tuple[SessionDriver, Peer, Peer]:
        """A session with both its sides, after the link-up."""
        session, client = self.waiting()
        agent = self.attach(self.registry.join(NAME), Side.AGENT)
        run_loop()
        client.expect(TEXT, LINKUP)
        agent.expect(TEXT, LINKUP)
        return session, client, agent

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        for session in self.registry.sessions():
            session.tell(Input.SHUTDOWN)
        self.registry.wait_until_empty(5)

    def _attach(self, session: SessionDriver, side: Side, transport: RelayedTransport) -> None:
        session.attach(side, transport, "127.0.0.1:2")


def until(condition: Callable[[], object]) -> None:
    """Runs the event loop until `condition` holds."""
    wait_until(condition, nap=gevent.sleep)


def run_loop() -> None:
    """Runs the event loop until all that is ready is done."""
    for _ in range(5):
        gevent.sleep(0)


def outcomes(logs: list[EventDict]) -> list[str]:
    """Of the sessions that have ended."""
    return [entry["outcome"] for entry in logs if entry["event"] == "session ended"]


def errors(logs: list[EventDict]) -> list[str]:
    """What the log calls errors."""
    return [entry["event"] for entry in logs if entry["log_level"] == "error"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries
