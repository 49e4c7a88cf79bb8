"""Two `websockets` clients, attached as the two sides of a fresh session."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from websockets.sync.client import ClientConnection, connect

from bench.kinds import Relay
from tests.waiting import PATIENCE

WAIT = 'medusa:{"type":"wait"}'
LINKUP = 'medusa:{"type":"linkup"}'


@dataclass(frozen=True)
class Pair:
    """Both ends of one session, past linkup."""

    client: ClientConnection
    agent: ClientConnection


def new_session() -> str:
    """An id that no other test uses."""
    return str(uuid.uuid4())


@contextlib.contextmanager
def attached(relay: Relay, session: str, route: str) -> Iterator[ClientConnection]:
    """A connection to one route of a session; compression is offered, as browsers and libraries do."""
    url = f"ws://127.0.0.1:{relay.port}/attach/{session}/{route}"
    with connect(url, proxy=None, max_size=None, open_timeout=PATIENCE, close_timeout=PATIENCE) as connection:
        yield connection


def linkup(receive: Callable[[], object]) -> None:
    """Reads up to the linkup, which follows waits if the client waited."""
    while (message := receive()) == WAIT:
        pass
    assert message == LINKUP


@contextlib.contextmanager
def pair(relay: Relay) -> Iterator[Pair]:
    """A linked pair."""
    session = new_session()
    with attached(relay, session, "master") as client, attached(relay, session, "slave") as agent:
        linkup(lambda: client.recv(timeout=PATIENCE))
        linkup(lambda: agent.recv(timeout=PATIENCE))
        yield Pair(client, agent)
