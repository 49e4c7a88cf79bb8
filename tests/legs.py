"""Sessions with several clients of one agent: raw peers that join and that answer calls."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from tests.peers import LINKUP, TEXT, Peer, upgrade
from tests.reflectors import Reflector, new_id


class Linked(NamedTuple):
    """A session whose agent takes calls."""

    session: str
    client: Peer
    agent: Peer


@contextlib.contextmanager
def session(reflector: Reflector, path: str = "/attach") -> Iterator[Linked]:
    """A session that is linked. `path`: that of the front door, or the internal one."""
    name = new_id()
    client, agent = upgrade(f"{path}/{name}/master"), upgrade(f"{path}/{name}/slave", medusa_features="call")
    with reflector.enter(client) as first, reflector.enter(agent) as second:
        first.linked()
        second.expect(TEXT, LINKUP)
        yield Linked(name, first, second)


def join_head(session: str) -> bytes:
    """What a client sends that joins."""
    return upgrade(f"/attach/{session}/master", medusa_join="1")


def leg_head(session: str, leg: str) -> bytes:
    """What an agent sends that was called."""
    return upgrade(f"/attach/{session}/slave", medusa_leg=leg)


def called(agent: Peer) -> str:
    """Reads the call that comes next at an agent. Returns its leg."""
    message = agent.word()
    prefix, _, body = message.payload.partition(b":")
    assert (message.opcode, prefix) == (TEXT, b"medusa"), message
    call = json.loads(body)
    assert call.pop("type") == "call"
    (leg,) = call.values()
    assert isinstance(leg, str)
    return leg


@contextlib.contextmanager
def leg(reflector: Reflector, session: str, agent: Peer) -> Iterator[tuple[Peer, Peer]]:
    """A client that has joined and the agent that has answered, both linked. `agent`: the link that gets the call."""
    with reflector.enter(join_head(session)) as client, reflector.enter(leg_head(session, called(agent))) as answer:
        client.linked()
        answer.expect(TEXT, LINKUP)
        yield client, answer


def refused(reflector: Reflector, head: bytes) -> tuple[int, str]:
    """The status and the words with which a request is refused."""
    answer = reflector.ask(head)
    return answer.status, answer.rest.decode().strip()


def legs(reflector: Reflector, session: str) -> int:
    """How many legs the reflector shows; 0 if it has no such session."""
    return next((entry["legs"] for entry in reflector.sessions() if entry["id"] == session), 0)
